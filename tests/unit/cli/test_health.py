"""`passgate health`: exit 0 only for a gate that answers 200; never a traceback, never a wait."""

import socket
import socketserver
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from passgate.cli.app import app
from passgate.testing import FakeUpstream, Reply


def health(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["health", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_ready_gate_is_healthy() -> None:
    """Exit 0, and what the gate says on standard output."""
    with FakeUpstream(Reply(body=b'{"status": "ready"}')) as gate:
        code, out, err = health("--url", f"http://127.0.0.1:{gate.port}/readyz")

    assert (code, out, err) == (0, '{"status": "ready"}\n', "")
    assert gate.seen[0].method == "GET"
    assert gate.seen[0].target == "/readyz"
    assert gate.seen[0].header("Host") == f"127.0.0.1:{gate.port}"


def test_a_gate_that_is_not_ready_is_not_healthy() -> None:
    """Exit 1; why stays on standard output, where `docker inspect` shows it."""
    with FakeUpstream(Reply(503, body=b'{"status": "not ready"}')) as gate:
        code, out, err = health("--url", f"http://127.0.0.1:{gate.port}/readyz")

    assert (code, out) == (1, '{"status": "not ready"}\n')
    assert err == f"passgate: 127.0.0.1:{gate.port} answered 503\n"


def test_only_200_is_healthy_and_no_redirect_is_followed() -> None:
    """Whatever took the port and answers something else is not a ready gate."""
    elsewhere = (("Location", "/livez"),)
    for reply in (Reply(204, body=b""), Reply(302, elsewhere, b""), Reply(404)):
        with FakeUpstream(reply) as gate:
            assert health("--url", f"http://127.0.0.1:{gate.port}/readyz")[0] == 1, reply
            assert len(gate.seen) == 1


def test_the_query_is_sent_and_an_empty_path_is_the_root() -> None:
    """What stands in --url is what is asked; a fragment stays here."""
    with FakeUpstream() as gate:
        health("--url", f"http://127.0.0.1:{gate.port}")
        health("--url", f"http://localhost:{gate.port}/readyz?verbose=1#top")

    assert [request.target for request in gate.seen] == ["/", "/readyz?verbose=1"]


def test_nobody_listening_is_one_line_and_exit_1() -> None:
    """The commonest case while a container starts."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        code, out, err = health("--url", f"http://127.0.0.1:{port}/readyz")

    assert (code, out) == (1, "")
    assert err.startswith(f"passgate: no answer from 127.0.0.1:{port}: ")
    assert err.count("\n") == 1


def test_silence_ends_after_the_timeout() -> None:
    """A port that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        code, _, err = health("--url", f"http://127.0.0.1:{port}/readyz", "--timeout", "0.1")

    assert code == 1
    assert "timed out" in err


def test_what_is_not_http_is_one_line_and_exit_1() -> None:
    """Another program may have the port."""
    for raw in (b"SSH-2.0-x\r\n", b""):
        with FakeUpstream(Reply(raw=raw)) as other:
            code, _, err = health("--url", f"http://127.0.0.1:{other.port}/readyz")
        assert code == 1, raw
        assert "no answer" in err
        assert err.count("\n") == 1


def test_what_it_prints_cannot_move_a_terminal() -> None:
    """Control characters of the answer are left out."""
    with FakeUpstream(Reply(body=b"\x1b[2Jready\r\n\x07")) as gate:
        assert health("--url", f"http://127.0.0.1:{gate.port}/")[1] == "[2Jready\n"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:9901/readyz",
        "127.0.0.1:9901",
        "http://",
        "http://user:secret@127.0.0.1/",
        "http://127.0.0.1:notaport/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
    ],
)
def test_a_wrong_url_is_wrong_use(url: str) -> None:
    """Exit 2, so that a health check that could never pass differs from a gate that is down."""
    code, out, err = health("--url", url)

    assert (code, out) == (2, "")
    assert err.startswith("passgate: --url ")
    assert "secret" not in err


@pytest.mark.parametrize("seconds", ["0", "-1", "soon"])
def test_a_timeout_that_is_none_is_wrong_use(seconds: str) -> None:
    """0 would mean not to wait at all, and a negative one is a mistake."""
    assert health("--timeout", seconds)[0] == 2


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The listener is here; a proxy elsewhere knows nothing of it."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with FakeUpstream() as gate:
        assert health("--url", f"http://127.0.0.1:{gate.port}/livez")[0] == 0


class OnSocket(socketserver.StreamRequestHandler):
    """Answers 200 for /readyz and 404 for everything else, on a Unix socket."""

    def handle(self) -> None:
        target = self.rfile.readline().split()[1]
        while self.rfile.readline().strip():
            pass
        status = b"200 OK" if target == b"/readyz" else b"404 Not Found"
        self.wfile.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\nready")


def test_a_unix_socket_is_asked(tmp_path: Path) -> None:
    """/readyz unless another path follows the socket's after a colon."""
    path = tmp_path / "admin.sock"
    with socketserver.UnixStreamServer(str(path), OnSocket) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            assert health("--url", f"unix:{path}")[:2] == (0, "ready\n")
            assert health("--url", f"unix:{path}:/readyz")[:2] == (0, "ready\n")
            code, _, err = health("--url", f"unix:{path}:/livez")
            assert (code, err) == (1, f"passgate: unix:{path} answered 404\n")
        finally:
            server.shutdown()
            thread.join()


def test_a_socket_that_nobody_listens_on_is_exit_1(tmp_path: Path) -> None:
    """And one without a path is wrong use."""
    code, _, err = health("--url", f"unix:{tmp_path}/none.sock")
    assert code == 1
    assert err.startswith(f"passgate: no answer from unix:{tmp_path}/none.sock")
    assert health("--url", "unix:")[0] == 2
