"""Reads an answer that was written in each format, as programs read it: one JSON object on standard output, with the columns and
the rows that each reader finds.

usage: readers.py FOLDER

The folder has answer.csv, .tsv, .json, .ndjson, .parquet, .arrow, .arrows and .feather. A value of a column that a format has no
type for is a text or JSON there; it is parsed, so that all readers should find the same.
"""

import csv
import datetime
import json
import math
import pathlib
import sys

import duckdb
import pandas
import pyarrow
import pyarrow.feather
import pyarrow.parquet

folder = pathlib.Path(sys.argv[1])
duck = duckdb.connect()
duck.execute("SET TimeZone = 'UTC'")


def with_csv(path, delimiter):
    with open(path, newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file, delimiter=delimiter)
    return names, rows


def with_duckdb(path, reader):
    # Instants as text: as values they would need a package for zones.
    result = duck.execute(f'SELECT * REPLACE ("at"::TIMESTAMPTZ::VARCHAR AS "at") FROM {reader}', [str(path)])
    return [column[0] for column in result.description], result.fetchall()


def with_pandas(frame):
    return list(frame.columns), frame.astype(object).values.tolist()


def with_json(rows):
    return list(rows[0]), [list(row.values()) for row in rows]


def with_arrow(table):
    return table.column_names, [list(row.values()) for row in table.to_pylist(maps_as_pydicts="strict")]


def answer(ending):
    return folder / f"answer.{ending}"


def json_of(ending):
    text = answer(ending).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if ending == "ndjson" else json.loads(text)


def stream(ending):
    with pyarrow.ipc.open_stream(answer(ending)) as reader:
        return reader.read_all()


def file(ending):
    with pyarrow.ipc.open_file(answer(ending)) as reader:
        return reader.read_all()


def plain(name, value):
    """The value in a form that is the same whatever type the reader gave it."""
    if value is None or isinstance(value, float) and math.isnan(value) or value is pandas.NaT or value is pandas.NA:
        return None
    if hasattr(value, "tolist"):
        value = value.tolist()
    if name == "at":
        value = datetime.datetime.fromisoformat(str(value)) if not isinstance(value, datetime.datetime) else value
        return value.astimezone(datetime.timezone.utc).isoformat()
    if name in ("list", "struct", "map"):
        value = json.loads(value) if isinstance(value, str) else value
        value = dict(value) if name == "map" and isinstance(value, list) else value
        return [plain("number", item) for item in value] if isinstance(value, list) else value
    if name == "number":
        return float(value)
    if name == "n":
        return int(value)
    return str(value)


def main():
    readers = {
        "csv, csv": lambda: with_csv(answer("csv"), ","),
        "csv, DuckDB": lambda: with_duckdb(answer("csv"), "read_csv(?, all_varchar = true, allow_quoted_nulls = false)"),
        "csv, pandas": lambda: with_pandas(pandas.read_csv(answer("csv"))),
        "tsv, csv": lambda: with_csv(answer("tsv"), "\t"),
        "tsv, DuckDB": lambda: with_duckdb(answer("tsv"), "read_csv(?, delim = '\t', all_varchar = true, allow_quoted_nulls = false)"),
        "tsv, pandas": lambda: with_pandas(pandas.read_csv(answer("tsv"), sep="\t")),
        "json, json": lambda: with_json(json_of("json")),
        "json, DuckDB": lambda: with_duckdb(answer("json"), "read_json(?)"),
        "ndjson, json": lambda: with_json(json_of("ndjson")),
        "ndjson, DuckDB": lambda: with_duckdb(answer("ndjson"), "read_json(?)"),
        "parquet, pyarrow": lambda: with_arrow(pyarrow.parquet.read_table(answer("parquet"))),
        "parquet, DuckDB": lambda: with_duckdb(answer("parquet"), "read_parquet(?)"),
        "parquet, pandas": lambda: with_pandas(pandas.read_parquet(answer("parquet"))),
        "arrow, pyarrow": lambda: with_arrow(file("arrow")),
        "arrows, pyarrow": lambda: with_arrow(stream("arrows")),
        "feather, pandas": lambda: with_pandas(pandas.read_feather(answer("feather"))),
    }
    found = {}
    for reader, read in readers.items():
        names, rows = read()
        found[reader] = {
            "columns": names,
            "rows": [{name: plain(name, value) for name, value in zip(names, row)} for row in rows],
        }
    json.dump(found, sys.stdout)


main()
