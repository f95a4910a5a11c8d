"""Runs SQL in DuckDB: statements, then questions. {"statements": […], "questions": […]} on standard input, and on standard
output a JSON list with the rows of each question.
"""

import json
import sys

import duckdb

from values import plain


def rows(question):
    answer = duckdb.execute(question)
    names = [column[0] for column in answer.description]
    return [dict(zip(names, map(plain, row))) for row in answer.fetchall()]


def main():
    asked = json.load(sys.stdin)
    for statement in asked["statements"]:
        duckdb.execute(statement)
    json.dump([rows(question) for question in asked["questions"]], sys.stdout)


main()
