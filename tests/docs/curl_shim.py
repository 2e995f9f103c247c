"""Stands in for curl where documents are executed and there is none; knows the options they use."""

import json
import socket
import ssl
import sys
import time
from argparse import ArgumentParser, Namespace
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit


def _options() -> Namespace:
    parser = ArgumentParser(prog="curl", allow_abbrev=False)
    for flag in ("-i", "-s", "-S", "-f", "--retry-connrefused"):
        parser.add_argument(flag, action="store_true")
    for option in ("-o", "-w", "-X", "-d", "--unix-socket", "--cacert", "--cert", "--key"):
        parser.add_argument(option)
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("--retry", type=int, default=0)
    parser.add_argument("url")
    return parser.parse_args()


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def _connection(options: Namespace) -> HTTPConnection:
    parts = urlsplit(options.url)
    if options.unix_socket:
        return _UnixConnection(options.unix_socket)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=options.cacert)
        if options.cert:
            context.load_cert_chain(options.cert, options.key)
        return HTTPSConnection(parts.hostname or "", parts.port, timeout=30, context=context)
    return HTTPConnection(parts.hostname or "", parts.port, timeout=30)


def _ask(options: Namespace) -> HTTPResponse:
    parts = urlsplit(options.url)
    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    headers = dict(line.split(": ", 1) for line in options.H)
    body = None
    if options.d is not None:
        body = options.d.encode()
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    left = options.retry
    while True:
        connection = _connection(options)
        try:
            connection.request(options.X or ("POST" if body else "GET"), target, body, headers)
            return connection.getresponse()
        except ConnectionRefusedError:
            if not (left and options.retry_connrefused):
                raise
            left -= 1
            time.sleep(0.2)


def main() -> int:
    """Does what curl would do, as far as the documents go."""
    options = _options()
    try:
        answer = _ask(options)
    except ConnectionRefusedError:
        return 7
    except ssl.SSLError:
        return 60
    body = answer.read()
    if options.f and answer.status >= 400:
        return 22
    head = ""
    if options.i:
        lines = "".join(f"{name}: {value}\r\n" for name, value in answer.getheaders())
        head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n{lines}\r\n"
    if options.o:
        Path(options.o).write_bytes(head.encode() + body)
    else:
        sys.stdout.write(head + body.decode("utf-8", "replace"))
    if options.w:
        # As the shell passes it on: the escapes are curl's to read.
        form = json.loads('"' + options.w.replace('"', '\\"') + '"')
        sys.stdout.write(form.replace("%{http_code}", str(answer.status)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
