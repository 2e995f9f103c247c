"""Names of client certificates for the record, and the end of the gate's own."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from tests.support.certificates import Authority

from passgate.proxy.certificates import Validity, client_name, validity


def certificate(*subject: tuple[str, str], names: Any = ()) -> dict[str, Any]:
    """As `SSLObject.getpeercert()` gives it: one attribute a part, the outermost first."""
    return {
        "subject": tuple((part,) for part in subject),
        "subjectAltName": tuple(names),
        "serialNumber": "0A1B",
    }


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (None, ""),
        ({}, ""),
        (certificate(("commonName", "agent 7")), "CN=agent 7"),
        (
            certificate(("countryName", "CH"), ("organizationName", "Lab"), ("commonName", "a")),
            "CN=a,O=Lab,C=CH",
        ),
        (
            {"subject": ((("commonName", "a"), ("userId", "7")),)},
            "CN=a+UID=7",
        ),
        (certificate(("emailAddress", "a@b.example")), "emailAddress=a@b.example"),
        (certificate(names=[("DNS", "a.example"), ("DNS", "b.example")]), "DNS:a.example"),
        (certificate(), "serial:0A1B"),
        (
            certificate(("commonName", "a"), names=[("URI", "spiffe://td.example/ns/a")]),
            "spiffe://td.example/ns/a",
        ),
        (
            certificate(("commonName", "a"), names=[("URI", "https://a.example/")]),
            "CN=a",
        ),
        (
            certificate(
                ("commonName", "a"), names=[("URI", "spiffe://a/x"), ("URI", "spiffe://b/x")]
            ),
            "CN=a",
        ),
    ],
)
def test_a_certificate_has_one_name(found: dict[str, Any] | None, name: str) -> None:
    """The SPIFFE id where it is one, else the subject as RFC 4514 writes it, else the next best."""
    assert client_name(found) == name


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a,O=Admins", r"a\,O\=Admins"),
        ('"a"+b;<c>\\', r"\"a\"\+b\;\<c\>\\"),
        ("#a", r"\#a"),
        (" a ", r"\ a\20"),
        (" ", r"\20"),
        ("a\r\nSet-Cookie: x", r"a\0D\0ASet-Cookie: x"),
        ("a\x00.example", r"a\00.example"),
        ("a\x1b[2J\x7f", r"a\1B[2J\7F"),
        ("Zoë\u202e", r"Zo\C3\AB\E2\80\AE"),
        ("\ud800", r"\ED\A0\80"),
    ],
)
def test_what_a_certificate_says_cannot_pass_for_something_else(value: str, written: str) -> None:
    """Neither for another attribute nor for another line, and nothing happens to a terminal."""
    assert client_name(certificate(("commonName", value))) == f"CN={written}"


def test_names_are_of_bounded_length() -> None:
    """Nobody else decides how long a line of the log is."""
    name = client_name(certificate(*[("organizationalUnitName", "x" * 64)] * 100))
    assert len(name) == 256
    assert name.endswith("...")
    long_id = client_name(certificate(names=[("URI", "spiffe://td.example/" + "\x01" * 2000)]))
    assert len(long_id) == 256


DAY = 86400.0


@pytest.mark.parametrize(
    ("life", "left", "words"),
    [
        (90 * DAY, 15 * DAY, ""),
        (90 * DAY, 13 * DAY, "expires at 1970-04-01T00:00:00Z"),
        (90 * DAY, 0.0, "expired at 1970-04-01T00:00:00Z"),
        (90 * DAY, -5 * DAY, "expired"),
        (1 * DAY, 0.3 * DAY, ""),
        (1 * DAY, 0.1 * DAY, "expires at 1970-01-02T00:00:00Z"),
    ],
)
def test_an_operator_is_warned_in_time(life: float, left: float, words: str) -> None:
    """In the last two weeks, or the last fifth of a life that is short."""
    warning = Validity(0.0, life).warning(life - left)
    assert words in warning
    assert bool(warning) is bool(words)


def test_the_first_end_in_a_chain_counts(tmp_path: Path) -> None:
    """Clients refuse the whole chain as soon as one of its certificates has ended."""
    authority = Authority(tmp_path)
    leaf, _ = authority.issue("leaf", lifetime=dt.timedelta(hours=5))
    chain = tmp_path / "chain.pem"
    chain.write_bytes(leaf.read_bytes() + authority.cert.read_bytes())
    found = validity(chain)
    assert found == validity(leaf)
    assert found is not None
    assert found.ends_at - found.begins_at == pytest.approx(6 * 3600, abs=2)


def test_what_is_no_certificate_has_no_end(tmp_path: Path) -> None:
    file = tmp_path / "not.pem"
    file.write_text("nothing")
    assert validity(file) is None
    with pytest.raises(FileNotFoundError):
        validity(tmp_path / "none.pem")
