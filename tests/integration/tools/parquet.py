"""Reads Parquet files as other people's programs do: a JSON list on standard output, an object for each file.

usage: parquet.py FILE…

{"columns": [[name, Arrow type], …], "metadata": {…}, "compression": [codec, …], "rows": [{…}, …]} with the rows as DuckDB reads
them, in the form of values.py. Fails where pyarrow reads other rows than DuckDB.
"""

import json
import sys

import duckdb
import pyarrow.parquet

from values import plain


def read(path):
    file = pyarrow.parquet.ParquetFile(path)
    metadata = file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    # Not as a partition: dt=… is no column of the file.
    question = duckdb.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [path])
    names = [column[0] for column in question.description]
    rows = [dict(zip(names, row)) for row in question.fetchall()]
    # pyarrow's maps are lists of pairs unless told otherwise, DuckDB's are dictionaries.
    others = file.read().to_pylist(maps_as_pydicts="strict")
    assert rows == others, f"{path}: DuckDB and pyarrow do not agree:\n{rows}\n{others}"
    return {
        "columns": [[field.name, str(field.type)] for field in file.schema_arrow],
        "metadata": {key.decode(): value.decode() for key, value in (metadata.metadata or {}).items()},
        "compression": sorted({group.column(n).compression for group in groups for n in range(group.num_columns)}),
        "rows": [plain(row) for row in rows],
    }


json.dump([read(path) for path in sys.argv[1:]], sys.stdout)
