"""A long body on a route that judges none goes through a real gate as it comes: nothing is kept."""

import hashlib
import threading
from pathlib import Path

import pytest
from tests.support.memory import peak_resident_kib
from tests.support.raw_http import OK, Client, Peer, RawUpstream, connected
from tests.support.running_gate import RunningGate, running_gate

from passgate.testing import mint

TOTAL = 100 << 20
PIECE = bytes(range(256)) * 1024


class Digesting:
    """An upstream that keeps no more of a body than its digest. `begun`: its first byte is here."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.digest = b""

    def __call__(self, peer: Peer) -> None:
        with peer.sock.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n")).lower()
            digest = hashlib.sha256()
            length = TOTAL
            while length:
                if b"chunked" in head:
                    length = int(stream.readline(), 16)
                left = length
                while left:
                    data = stream.read1(left)
                    if not data:
                        return
                    self.begun.set()
                    digest.update(data)
                    left -= len(data)
                if b"chunked" not in head:
                    break
                stream.readline()
            self.digest = digest.digest()
            peer.send(OK)


def send_body(client: Client, upstream: Digesting, *, chunked: bool) -> bytes:
    """Sends 100 MiB, the second piece not before the first has reached the upstream."""
    digest = hashlib.sha256()
    for at in range(TOTAL // len(PIECE)):
        piece = at.to_bytes(8) + PIECE[8:]
        digest.update(piece)
        client.sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if not at:
            assert upstream.begun.wait(5), "the upstream got nothing before the body was whole"
    if chunked:
        client.sock.sendall(b"0\r\n\r\n")
    return digest.digest()


@pytest.mark.parametrize("framing", [b"Content-Length: %d" % TOTAL, b"Transfer-Encoding: chunked"])
def test_a_hundred_mebibytes_take_no_memory(tmp_path: Path, framing: bytes) -> None:
    """The first byte is at the upstream before the last is sent, and the gate does not grow."""
    digesting = Digesting()
    config = {"limits": {"body_bytes": "200MiB"}}
    with (
        RawUpstream(digesting) as upstream,
        running_gate(tmp_path, f"http://127.0.0.1:{upstream.port}", config=config) as gate,
        connected(gate.port) as client,
    ):
        before = _peak(gate)
        passport = mint(issuer=gate.issuer, permissions=["*"]).encode()
        client.send(
            b"POST /public/x HTTP/1.1\r\nHost: a\r\nAuthorization: Passport %b\r\n%b\r\n\r\n"
            % (passport, framing)
        )

        digest = send_body(client, digesting, chunked=framing.startswith(b"T"))

        assert client.answer().status == 200
        assert digesting.digest == digest
        assert _peak(gate) - before < 8 * 1024


def _peak(gate: RunningGate) -> int:
    assert gate.process is not None
    return peak_resident_kib(gate.process.pid)
