"""The kinds of requests to S3, CloudWatch Logs and CloudWatch."""

from urllib.parse import parse_qs


def kind_of(method, url, headers):
    target = headers.get("x-amz-target", "")
    if target.startswith("Logs_"):
        return f"logs.{target.partition('.')[2]}"
    if "GetMetricData" in f"{target} {url.path}":
        return "metrics"
    query = parse_qs(url.query, keep_blank_values=True)
    if method == "POST" and "delete" in query:
        return "delete"
    if method == "GET" and "list-type" in query:
        return "list"
    if method == "GET" and "uploads" in query:
        return "uploads"
    if method == "POST" and "uploads" in query:
        return "create"
    if "uploadId" in query:
        return {"PUT": "part", "POST": "complete", "DELETE": "abort"}.get(method, "other")
    if len(url.path.strip("/").split("/")) < 2:
        return "bucket"
    if method == "GET":
        return "range" if "range" in headers else "get"
    return {"HEAD": "head", "PUT": "put", "DELETE": "delete"}.get(method, "other")
