"""Validates documents by a JSON Schema: {"schema": {…}, "documents": […]} on standard input, and on standard output a JSON list
with the errors of each document. Fails where the schema itself is none.
"""

import json
import sys

from jsonschema import Draft7Validator


def innermost(errors):
    """The errors, and where none of several schemas fits, those of each."""
    for error in errors:
        yield error
        yield from innermost(error.context)


def main():
    asked = json.load(sys.stdin)
    Draft7Validator.check_schema(asked["schema"])
    validator = Draft7Validator(asked["schema"])
    errors = lambda document: [
        f"{error.json_path}: {error.message}" for error in innermost(validator.iter_errors(document))
    ]
    json.dump([errors(document) for document in asked["documents"]], sys.stdout)


main()
