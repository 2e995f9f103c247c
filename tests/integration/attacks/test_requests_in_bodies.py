"""A body that looks like a request stays a body, also before servers that do not read bodies."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.support.data_plane import data_plane
from tests.support.raw_http import until

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


@contextlib.contextmanager
def careless_server(paths: list[str]) -> Iterator[int]:
    """Python's own server as it is commonly used: no method but POST looks for a body."""

    class Careless(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"ok")

        do_GET = do_HEAD = do_DELETE = do_OPTIONS = do_PROPFIND = answer  # noqa: N815 - its names

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Careless)
    server.daemon_threads = False  # closing it then waits for what is still being served
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("framing", ["length", "chunked", "streamed"])
def test_a_request_hidden_in_a_body_is_not_served(method: str, framing: str) -> None:
    """Clients send no body with these methods, so servers that forget to read it go unnoticed."""
    paths: list[str] = []
    body = b"Content-Length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN)
    if framing == "chunked":
        body = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    head = b"%b /judged HTTP/1.1\r\nHost: a\r\n" % method.encode()
    with careless_server(paths) as port:
        with data_plane(port) as plane, plane.client() as client:
            if framing == "streamed":
                client.send(head + body[:-10])
                until(lambda: plane.gate.judged, "the head was judged")
                client.send(body[-10:])
            else:
                client.send(head + body)
            assert client.answer(method).status == 200
        with data_plane(port) as plane, plane.client() as client:
            client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.answer().status == 200

    assert paths == ["/judged", "/next"]
