"""A gate between a program and AWS that records every request: a proxy for HTTP and HTTPS, and a server.

usage: gate.py CA [PORT]    writes the certificate of its authority to the file CA. It prints its own port, and ends when its
                            standard input ends. With the PORT of moto's server, requests go on to that.

It takes CONNECT, and has a certificate for every host that it is asked for. Without moto, it answers as an S3 with empty
buckets and as a CloudWatch Logs without log groups.

PUT /-gate takes a plan as JSON: "password", which a client of the proxy must have ("user:password"), and "rules", the first
of which that fits answers a request: {"kind": "list", "status": 403, "code": "AccessDenied", "message": …, "class": …,
"path": "exported/", "lacks": "x-amz-checksum"}. "kind" is that of kinds.py, "path" a part of the path, "lacks" the beginning of
a header without which the rule fits, "class" a storage class. GET /-gate tells what was asked since.
"""

import base64
import datetime
import http.client
import json
import ssl
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kinds import kind_of

UPSTREAM = int(sys.argv[2]) if len(sys.argv) > 2 else None
LISTING = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"""

lock = threading.Lock()
plan = {}
seen = []


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, issuer, issuer_key, extension):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(extension, critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256())


class Authority:
    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = certificate("gate", self.key, "gate", self.key, basic)
        self.contexts = {}

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def context(self, host):
        with lock:
            if host not in self.contexts:
                key = ec.generate_private_key(ec.SECP256R1())
                names = x509.SubjectAlternativeName([x509.DNSName(host)])
                leaf = certificate("host", key, "gate", self.key, names)
                private = key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                with tempfile.NamedTemporaryFile() as file:
                    file.write(leaf.public_bytes(serialization.Encoding.PEM) + private)
                    file.flush()
                    context.load_cert_chain(file.name)
                self.contexts[host] = context
            return self.contexts[host]


AUTHORITY = Authority()


class Gate(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tunnel = None

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        if not any(key.lower() == "content-length" for key, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def is_let_in(self):
        if "password" not in plan:
            return True
        wanted = "Basic " + base64.b64encode(plan["password"].encode()).decode()
        if self.headers.get("Proxy-Authorization") == wanted:
            return True
        self.answer(407, headers=[("Proxy-Authenticate", "Basic")])
        return False

    def do_CONNECT(self):
        if not self.is_let_in():
            return
        self.tunnel = self.path
        self.send_response(200, "Connection established")
        self.end_headers()
        context = AUTHORITY.context(self.path.rsplit(":", 1)[0])
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def handle_request(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.path == "/-gate":
            return self.control(body)
        url = urlsplit(self.path)
        is_forwarded = bool(url.netloc)
        if is_forwarded and not self.is_let_in():
            return None
        headers = {key.lower(): value for key, value in self.headers.items()}
        kind = kind_of(self.command, url, headers)
        host = self.tunnel or headers.get("host", "")
        request = {"host": host, "kind": kind, "method": self.command, "path": self.path, "headers": headers}
        request["by"] = "proxy" if self.tunnel or is_forwarded else "direct"
        with lock:
            seen.append(request)
        for rule in plan.get("rules", ()):
            lacks = rule.get("lacks")
            has = bool(lacks) and any(key.startswith(lacks) for key in headers)
            if rule["kind"] == kind and rule.get("path", "") in self.path and not has:
                return self.refuse(rule)
        if UPSTREAM:
            return self.forward(url, body)
        if kind.startswith("logs."):
            return self.answer(200, b'{"logGroups": []}', [("Content-Type", "application/x-amz-json-1.1")])
        if kind == "list":
            return self.answer(200, LISTING.encode(), [("Content-Type", "application/xml")])
        return self.answer(200 if kind == "bucket" else 404)

    def refuse(self, rule):
        if rule["kind"].startswith("logs."):
            body = json.dumps({"__type": rule["code"], "message": rule.get("message", "")})
            return self.answer(rule["status"], body.encode(), [("Content-Type", "application/x-amz-json-1.1")])
        body = ""
        if rule.get("code"):
            parts = {"Code": rule["code"], "Message": rule.get("message"), "StorageClass": rule.get("class")}
            inner = "".join(f"<{key}>{value}</{key}>" for key, value in parts.items() if value)
            body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}<RequestId>1</RequestId></Error>'
        return self.answer(rule["status"], body.encode(), [("Content-Type", "application/xml")])

    def forward(self, url, body):
        connection = http.client.HTTPConnection("127.0.0.1", UPSTREAM)
        target = url.path + (f"?{url.query}" if url.query else "")
        connection.putrequest(self.command, target, skip_host=True, skip_accept_encoding=True)
        for key, value in self.headers.items():
            connection.putheader(key, value)
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        left_out = {"connection", "transfer-encoding", "date", "server"}
        if self.command != "HEAD":
            left_out.add("content-length")
        headers = [(key, value) for key, value in response.getheaders() if key.lower() not in left_out]
        self.answer(response.status, content, headers)
        connection.close()

    def control(self, body):
        global plan, seen
        with lock:
            if self.command == "PUT":
                plan, seen = json.loads(body), []
            told = json.dumps(seen)
        self.close_connection = True
        self.answer(200, told.encode(), [("Connection", "close")])

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request


def main():
    with open(sys.argv[1], "wb") as file:
        file.write(AUTHORITY.pem())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


main()
