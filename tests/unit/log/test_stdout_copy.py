"""Standard output gets the same lines, and can do no harm."""

import os
from pathlib import Path

from tests.log_craft import decided, opened, record, run, segments

from passgate.log.stdout_copy import StdoutCopy


def drained(descriptor: int) -> bytes:
    data = b""
    while part := os.read(descriptor, 65536):
        data += part
    os.close(descriptor)
    return data


def test_everything_is_copied_in_order() -> None:
    """What goes in comes out."""
    reader, writer = os.pipe()
    copy = StdoutCopy(writer)
    for number in range(100):
        copy(b"%d\n" % number)
    copy.close()
    os.close(writer)
    assert drained(reader) == b"".join(b"%d\n" % number for number in range(100))


def test_a_reader_that_does_not_read_costs_lines_and_not_the_gate() -> None:
    """Beyond the bound lines are left out, and the copy says how many."""
    reader, writer = os.pipe()
    copy = StdoutCopy(writer, most_waiting=200_000)
    for _ in range(10):
        copy(b"x" * 49_999 + b"\n")
    left_out = copy._left_out
    assert left_out >= 4
    first = os.read(reader, 150_000)
    while copy._waiting > 100_000:
        first += os.read(reader, 65536)
    copy(b"end\n")
    copy.close(timeout_s=0.0)
    while not first.endswith(b"end\n"):
        first += os.read(reader, 65536)
    os.close(writer)
    said = b'{"count":%d,"kind":"suppressed","reason":"stdout_slow","v":1}\nend\n' % left_out
    assert first.endswith(said)
    os.close(reader)


def test_a_reader_that_is_gone_is_ignored() -> None:
    """A closed pipe ends the copy, not the program."""
    reader, writer = os.pipe()
    os.close(reader)
    copy = StdoutCopy(writer)
    copy(b"x\n")
    copy.close()
    copy(b"y\n")
    os.close(writer)


def test_the_log_copies_what_it_writes(tmp_path: Path, capfdbinary: object) -> None:
    """With `audit.stdout` both have the same bytes."""

    async def work() -> None:
        log = opened(tmp_path / "log", stdout=True)
        await log.start()
        await decided(log, record(1), record(2))
        await log.close()

    run(work)
    output: bytes = capfdbinary.readouterr().out  # type: ignore[attr-defined]  # pytest's own
    assert output == segments(tmp_path / "log")[0].read_bytes()
