"""Reads Parquet files with DuckDB and pyarrow: a JSON list on standard output, with an object for each file.

usage: parquet.py FILE…

{"columns": [[name, Arrow type], …], "metadata": {…}, "compression": [codec, …], "rows": [{…}, …]} with the rows as DuckDB reads
them, in the form of values.py. Fails if pyarrow reads other rows than DuckDB.
"""

import json
import sys

import pyarrow.parquet

from duck import connection
from values import plain


def read(path):
    file = pyarrow.parquet.ParquetFile(path)
    metadata = file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    # Without partitions: dt=… is not a column of the file.
    result = connection.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [path])
    names = [column[0] for column in result.description]
    rows = [dict(zip(names, row)) for row in result.fetchall()]
    # By default, pyarrow's maps are lists of pairs; DuckDB's are dictionaries.
    others = file.read().to_pylist(maps_as_pydicts="strict")
    assert rows == others, f"{path}: DuckDB and pyarrow do not agree:\n{rows}\n{others}"
    return {
        "columns": [[field.name, str(field.type)] for field in file.schema_arrow],
        "metadata": {key.decode(): value.decode() for key, value in (metadata.metadata or {}).items()},
        "compression": sorted({group.column(n).compression for group in groups for n in range(group.num_columns)}),
        "rows": [plain(row) for row in rows],
    }


json.dump([read(path) for path in sys.argv[1:]], sys.stdout)
