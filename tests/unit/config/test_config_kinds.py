"""Each kind of value is read in its notation only, and shown so that it can be read again."""

from pathlib import Path
from typing import Any

import pytest

from passgate.config import kinds, places
from passgate.config.keys import COMPULSORY, KEYS
from passgate.config.kinds import BAD, At, Kind
from passgate.config.problems import Problems
from passgate.config.reading import node_of


def read(kind: Kind, value: Any, base: Path = Path("/etc/passgate")) -> Any:
    return kind.read(node_of(value, 1), At("k", Problems("f"), base, {}, {}))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("250ms", 0.25), ("30s", 30.0), ("5m", 300.0), ("1h", 3600.0), ("7d", 604800.0), ("0s", 0.0)],
)
def test_durations_are_seconds(written: str, seconds: float) -> None:
    """A whole number and a unit; shown in the largest unit that holds it."""
    kind = kinds.duration("0s", "7d")
    assert read(kind, written) == seconds
    assert kind.show(seconds) == written


@pytest.mark.parametrize(
    "written",
    [
        "",
        "30",
        30,
        1.5,
        "1.5s",
        "-1s",
        "014s",
        "30 s",
        "30S",
        "1w",
        "s",
        "8d",
        "5m30s",
        True,
        None,
        "٣s",
    ],
)
def test_other_notations_are_no_durations(written: object) -> None:
    """Nothing without a unit, with a fraction, a sign, two units, or out of bounds."""
    assert read(kinds.duration("0s", "7d"), written) is BAD


@pytest.mark.parametrize(
    ("written", "size", "shown"),
    [
        ("64KiB", 65536, "64KiB"),
        ("1MiB", 1 << 20, "1MiB"),
        ("1024KiB", 1 << 20, "1MiB"),
        ("2GiB", 2 << 30, "2GiB"),
        (65536, 65536, "64KiB"),
        (1000, 1000, 1000),
    ],
)
def test_sizes_are_bytes(written: object, size: int, shown: object) -> None:
    """A whole number with a binary unit, or of bytes."""
    kind = kinds.size("0KiB", "1TiB")
    assert read(kind, written) == size
    assert kind.show(size) == shown


@pytest.mark.parametrize(
    "written", ["64KB", "64kib", "64k", "1.5MiB", "1MB", "-1", -1, True, None, "2TiB", "1000", 1.0]
)
def test_other_notations_are_no_sizes(written: object) -> None:
    """Decimal units are not guessed at, nor is a number in quotes."""
    assert read(kinds.size("0KiB", "1TiB"), written) is BAD


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]:8080", "::1", 8080),
        ("[::]:1", "::", 1),
        ("localhost:65535", "localhost", 65535),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:0", "::1", 0),
    ],
)
def test_addresses_have_host_and_port(written: str, host: str, port: int) -> None:
    """IPv4, IPv6 in brackets, names; port 0 means a free one."""
    address = read(places.AN_ADDRESS, written)
    assert (address.host, address.port, address.path) == (host, port, None)
    assert str(address) == written


@pytest.mark.parametrize(
    "written",
    [
        *("8080", ":8080", "127.0.0.1", "::1:8080", "[::1]", "127.0.0.1:65536", "a b:80", "x:-1"),
        *("http://127.0.0.1:80", "user@host:80", "127.1:80", "0x7f.1:80", "host:", ":0", "unix:"),
        *(8080, None, "unix:" + "x" * 120, "unix:a\x00b"),
    ],
)
def test_other_texts_are_no_addresses(written: object) -> None:
    """Nothing that two readers could take for different sockets."""
    assert read(places.AN_ADDRESS, written) is BAD


def test_a_unix_socket_lies_relative_to_the_file() -> None:
    """unix:PATH is made absolute from the directory of the configuration."""
    assert str(read(places.AN_ADDRESS, "unix:gate.sock")) == "unix:/etc/passgate/gate.sock"
    assert str(read(places.AN_UPSTREAM, "unix:/run/app.sock")) == "unix:/run/app.sock"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://api.internal", "http://api.internal:80"),
        ("https://api.internal/", "https://api.internal:443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("http://API.Internal:80", "http://api.internal:80"),
    ],
)
def test_an_upstream_is_scheme_host_and_port(written: str, shown: str) -> None:
    """Exactly that, the port filled in."""
    assert str(read(places.AN_UPSTREAM, written)) == shown


@pytest.mark.parametrize(
    "written",
    [
        *("127.0.0.1:8000", "ftp://host", "HTTP://host", "http:/host", "http://", "http://:80"),
        *("http://u:p@host", "http://@host", "http://host/base", "http://host/?q", "http://host#f"),
        *(
            "http://host\\@evil",
            "http://ho st",
            "http://host:0",
            "http://host:99999",
            "http://a..b",
        ),
        *(
            "//host",
            "http://127.1",
            "http://[::1",
            "http://h\u00f6st",
            5,
            None,
            "unix:",
            "http://h/?",
        ),
        ["http://a", "http://b"],
    ],
)
def test_other_texts_are_no_upstream(written: object) -> None:
    """No path, query, user, or second reading; and one upstream only."""
    assert read(places.AN_UPSTREAM, written) is BAD


@pytest.mark.parametrize("prefix", ["/.well-known/passgate", "/gate", "/a/b.c/d-e_f~"])
def test_prefixes_are_plain_paths(prefix: str) -> None:
    """Segments of unreserved characters."""
    assert read(places.A_PREFIX, prefix) == prefix


@pytest.mark.parametrize(
    "prefix", ["", "/", "gate", "/gate/", "//gate", "/a/../b", "/.", "/..", "/a%2e", "/a b", "/a?b"]
)
def test_prefixes_that_requests_could_not_have_are_refused(prefix: str) -> None:
    """A prefix that no judged path begins with would never answer."""
    assert read(places.A_PREFIX, prefix) is BAD


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row.path)
def test_each_default_is_in_the_notation_of_its_key(row: Any) -> None:
    """What the table gives as default is shown as it is written there."""
    if (
        row.default == COMPULSORY
        or row.refused
        or isinstance(row.kind, (kinds.Section, kinds.Sections))
    ):
        return
    value = read(row.kind, row.default, Path("/"))
    assert value is not BAD
    again = read(row.kind, row.kind.show(value), Path("/"))
    assert again == value


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row.path)
def test_each_key_is_described_in_a_sentence(row: Any) -> None:
    """One sentence or a few words with a full stop, for the reference page."""
    assert row.doc.endswith(".")
    assert row.doc[0].isupper() or row.doc[0] == "`"
    assert not row.only or row.lacks
