"""Runs SQL in DuckDB: statements, then queries. Standard input is {"statements": […], "queries": […]}; standard output is
a JSON list with the rows of each query.
"""

import json
import sys

from duck import connection
from values import plain


def rows(query):
    answer = connection.execute(query)
    names = [column[0] for column in answer.description]
    return [dict(zip(names, map(plain, row))) for row in answer.fetchall()]


def main():
    asked = json.load(sys.stdin)
    for statement in asked["statements"]:
        connection.execute(statement)
    json.dump([rows(query) for query in asked["queries"]], sys.stdout)


main()
