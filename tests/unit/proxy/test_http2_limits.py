"""Budgets of one HTTP/2 connection: honest use never ends them, floods always do."""

import pytest
from hpack.exceptions import HPACKDecodingError, OversizedHeaderListError
from tests.pace import paces

from passgate.proxy.http2_framing import SETTINGS, HeaderBlocks, known_settings
from passgate.proxy.http2_limits import Budget, Patience


def test_budget_fills_again() -> None:
    """A burst is allowed, then only what comes back over time."""
    budget = Budget(3.0, 2.0, 100.0)

    assert [budget.spend(1.0, 100.0) for _ in range(4)] == [True, True, True, False]
    assert budget.spend(1.0, 101.5)
    assert not budget.spend(10.0, 101.5)


def test_budget_never_fills_beyond_its_burst_by_waiting() -> None:
    """An idle hour buys no flood."""
    budget = Budget(3.0, 2.0, 0.0)

    assert [budget.spend(1.0, 3600.0) for _ in range(4)] == [True, True, True, False]


def test_what_was_sent_pays_for_updates() -> None:
    """A client that takes much may open its windows often, one that takes nothing may not."""
    patience = Patience(0.0)
    patience.sent(10 << 20)
    assert all(patience.update(0.0) for _ in range(20_000))

    patience = Patience(0.0)
    assert not all(patience.update(0.0) for _ in range(2_000))


def test_unknown_settings_are_left_out() -> None:
    """RFC 9113 section 6.5.2: unknown settings are ignored, the known ones keep their order."""
    body = b"".join(
        number.to_bytes(2, "big") + (7).to_bytes(4, "big") for number in (4, 0, 7, 8, 9, 65535, 1)
    )
    head = len(body).to_bytes(3, "big") + bytes((SETTINGS, 0, 0, 0, 0, 0))

    kept = known_settings(head + body)

    assert kept == (
        (12).to_bytes(3, "big")
        + bytes((SETTINGS, 0, 0, 0, 0, 0))
        + b"\x00\x04\x00\x00\x00\x07\x00\x01\x00\x00\x00\x07"
    )


def test_settings_of_a_wrong_size_are_left_to_the_library() -> None:
    """What is no list of settings is a FRAME_SIZE_ERROR, and not repaired here."""
    frame = (5).to_bytes(3, "big") + bytes((SETTINGS, 0, 0, 0, 0, 0)) + b"12345"

    assert known_settings(frame) == frame


LONG = b"\x00" + b"\x7f\x81\x01" + b"n" * 256 + b"\x7f\x00" + b"v" * 127  # a name and a value


@pytest.mark.parametrize(
    "field",
    [
        b"\x82",
        b"\x40\x01n\x01v",
        b"\x00\x01n\x01v",
        b"\x10\x01n\x00",
        b"\x04\x01/",
        b"\x44\x01/",
        LONG,
    ],
    ids=["indexed", "kept", "not kept", "never kept", "known name", "known name kept", "long"],
)
def test_fields_of_a_block_are_limited_by_number(field: bytes) -> None:
    """Four times as many as a request may have headers, however each is written."""
    blocks = HeaderBlocks(1 << 20, 2)

    blocks.decode(b"\x20\x3f\xe1\x1f" + field * 8)
    assert len(blocks.taken) == 8
    with pytest.raises(OversizedHeaderListError):
        blocks.decode(field * 9)


@pytest.mark.parametrize(
    "block",
    [b"\x00\x7f" + b"\x80" * 20, b"\x00\x05" + b"n" * 3, b"\xff" * 20, b"\x00\x01n" + b"\x7f"],
)
def test_malformed_blocks_are_the_decoders_to_find(block: bytes) -> None:
    """Counting reads lengths only, and what has none is not counted but refused."""
    with pytest.raises(HPACKDecodingError):
        HeaderBlocks(1 << 20, 1).decode(block + b"\x80" * 10)


def test_many_fields_are_refused_before_they_are_decoded() -> None:
    """8 KiB of fields that the table has would take 30 ms to decode: nobody pays for them."""
    blocks = HeaderBlocks(1 << 20, 100)
    block = b"\x82" * 7900

    def refuse() -> None:
        with pytest.raises(OversizedHeaderListError):
            blocks.decode(block)

    decode = HeaderBlocks(1 << 20, len(block)).decode
    assert 4 * paces(refuse) < paces(lambda: decode(block))


def test_header_blocks_keep_what_they_read() -> None:
    """The library sees no fields; the gate's own judge gets all of them."""
    blocks = HeaderBlocks(4096, 100)

    assert list(blocks.decode(b"\x82\x86\x84", raw=True)) == []
    assert [tuple(field) for field in blocks.taken] == [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":path", b"/"),
    ]
