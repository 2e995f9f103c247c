"""Several upstreams on 127.0.0.1, and addresses where nobody answers, each in its own way."""

import contextlib
import socket
import ssl
from collections.abc import Iterator

from tests.support.raw_http import Peer, RawUpstream, Script, answering

from passgate.proxy.settings import Endpoint


def at(*ports: int) -> tuple[Endpoint, ...]:
    """The endpoints of these ports."""
    return tuple(Endpoint("127.0.0.1", port) for port in ports)


def named(name: bytes) -> Script:
    """Answers every request with this body."""

    def script(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))

    return script


def closing_at_once(peer: Peer) -> None:
    """Takes a request and closes without a word."""
    peer.request()


@contextlib.contextmanager
def upstreams(count: int) -> Iterator[list[RawUpstream]]:
    """As many upstreams that say their number, `0` the first."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(RawUpstream(named(b"%d" % number))) for number in range(count)]


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses connections for as long as this lasts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port whose connections are never established: its queue is full, and nobody accepts."""
    with socket.socket() as listening, contextlib.ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listening.getsockname())
        yield listening.getsockname()[1]


class Switch:
    """A script that answers like `well` while `on`, else like `ill`."""

    def __init__(self, well: Script, ill: Script) -> None:
        self.on = True
        self._well = well
        self._ill = ill

    def __call__(self, peer: Peer) -> None:
        (self._well if self.on else self._ill)(peer)


@contextlib.contextmanager
def tls_upstream(context: ssl.SSLContext) -> Iterator[tuple[RawUpstream, list[str]]]:
    """An upstream over TLS, and the names that its clients asked for."""
    names: list[str] = []
    context.sni_callback = lambda _, name, __: names.append(name or "")

    def script(peer: Peer) -> None:
        with contextlib.suppress(OSError):
            peer.sock = context.wrap_socket(peer.sock, server_side=True)
            answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")(peer)

    with RawUpstream(script) as upstream:
        yield upstream, names
