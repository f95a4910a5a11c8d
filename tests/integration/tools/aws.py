"""Makes calls to AWS through boto3. Standard input is a JSON list of calls; standard output is the list of responses.

usage: aws.py FOLDER

A call is {"service": "s3", "operation": "put_object", "arguments": {…}, "unless": ["ErrorCode", …]}; the response to a
call that fails with an error code in "unless" is null. "region" and "account" are others than those of the environment. Bytes are in files: {"$file": "path"} among the arguments stands
for the file's bytes, and a streamed response is written to a file in FOLDER and named in the same way. Times are in ISO
8601.
"""

import datetime as dt
import json
import pathlib
import sys

import boto3
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

folder = pathlib.Path(sys.argv[1])
streamed = 0


def argument(value):
    if isinstance(value, dict):
        if set(value) == {"$file"}:
            return pathlib.Path(value["$file"]).read_bytes()
        return {key: argument(item) for key, item in value.items()}
    return [argument(item) for item in value] if isinstance(value, list) else value


def answer(value):
    global streamed
    if isinstance(value, StreamingBody):
        path = folder / f"answer-{streamed}"
        streamed += 1
        path.write_bytes(value.read())
        return {"$file": str(path)}
    if isinstance(value, dict):
        return {key: answer(item) for key, item in value.items() if key != "ResponseMetadata"}
    if isinstance(value, list):
        return [answer(item) for item in value]
    return value.isoformat() if isinstance(value, dt.datetime) else value


def credentials(account):
    if account is None:
        return {}
    role = {"RoleArn": f"arn:aws:iam::{account}:role/tests", "RoleSessionName": "tests"}
    keys = boto3.client("sts").assume_role(**role)["Credentials"]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


def call(clients, service, operation, arguments, unless=(), region=None, account=None):
    at = (service, region, account)
    if at not in clients:
        clients[at] = boto3.client(service, region_name=region, **credentials(account))
    try:
        return answer(getattr(clients[at], operation)(**argument(arguments)))
    except ClientError as error:
        if error.response["Error"]["Code"] in unless:
            return None
        raise


def main():
    clients = {}
    json.dump([call(clients, **each) for each in json.load(sys.stdin)], sys.stdout)


main()
