"""Serves AWS's interfaces on a free port of 127.0.0.1, prints the port, and ends when its standard input does.

The last point is what makes it end with its test, however that ends: a killed process closes its pipes too.
The access log goes to standard error.
"""

import sys

from moto.server import ThreadedMotoServer


def main():
    # Port 0: the system chooses, so that servers started at the same time never want the same one.
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    print(port, flush=True)
    sys.stdin.read()


main()
