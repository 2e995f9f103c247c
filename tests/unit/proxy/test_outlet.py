"""What was written in a turn leaves at its end, in order, whatever becomes of one connection."""

from tests.fuzz.judge import Judge
from tests.fuzz.memory import Loop, make_plane

from passgate.proxy.outlet import Outlet
from passgate.proxy.plane import Plane
from passgate.proxy.settings import Endpoint, ProxySettings, UpstreamSettings


class _Wire:
    """A transport that keeps each piece that it was given, or breaks."""

    def __init__(self, *, broken: bool = False) -> None:
        self.pieces: list[bytes] = []
        self._broken = broken

    def write(self, data: bytes) -> None:
        if self._broken:
            raise RuntimeError("the handle is closed")
        self.pieces.append(data)


def _plane(loop: Loop) -> Plane:
    settings = ProxySettings(
        Endpoint("127.0.0.1", 0), UpstreamSettings((Endpoint("127.0.0.1", 1),))
    )
    return make_plane(settings, Judge(), loop)


def _outlet(plane: Plane, wire: _Wire) -> Outlet:
    outlet = Outlet(plane)
    outlet._transport = wire  # type: ignore[assignment]  # all that an outlet asks of one
    return outlet


def test_pieces_of_one_turn_leave_together_and_in_order() -> None:
    """One write to the kernel a turn, with everything in it."""
    loop, wire = Loop(), _Wire()
    outlet = _outlet(_plane(loop), wire)

    outlet.write(b"head ")
    outlet.write(b"body")
    assert wire.pieces == []
    loop.settle()
    outlet.write(b"next")
    loop.settle()

    assert wire.pieces == [b"head body", b"next"]


def test_large_pieces_leave_at_once_behind_what_waits() -> None:
    """Nothing large is copied or kept, and nothing overtakes."""
    loop, wire = Loop(), _Wire()
    outlet = _outlet(_plane(loop), wire)

    outlet.write(b"a" * 100_000)
    outlet.write(b"small")
    outlet.write(b"b" * 100_000)

    assert b"".join(wire.pieces) == b"a" * 100_000 + b"small" + b"b" * 100_000
    loop.settle()
    assert sum(map(len, wire.pieces)) == 200_005


def test_one_broken_connection_holds_up_no_other() -> None:
    """Whatever the loop says to one write, the others of that turn leave."""
    loop = Loop()
    plane = _plane(loop)
    wires = [_Wire(), _Wire(broken=True), _Wire()]
    for wire in wires:
        _outlet(plane, wire).write(b"answer")

    loop.settle()

    assert [wire.pieces for wire in wires] == [[b"answer"], [], [b"answer"]]
