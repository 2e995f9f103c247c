"""Which format a credential is in."""

import pytest
from tests.craft import b64, credential

from passgate.core.format_rules import RULES
from passgate.core.formats import FORMATS, read
from passgate.core.jws import MalformedError, UnsupportedError

JWT = frozenset({"jwt"})
ENVELOPE = b64(b'{"passport_json":{"agent_id":"a"},"signature":"AAAA"}').encode()


def test_the_table_holds_what_is_built() -> None:
    """One reader for each."""
    assert list(FORMATS) == ["jwt", "envelope", "csp"] == list(RULES)


def test_three_parts_are_a_jws() -> None:
    """The native format is told by its shape alone."""
    assert read(credential().encode(), JWT).format == "jwt"


def test_a_format_that_the_gate_does_not_accept_is_unsupported() -> None:
    """Also one that this version could read."""
    with pytest.raises(UnsupportedError):
        read(credential().encode(), frozenset())
    with pytest.raises(UnsupportedError):
        read(ENVELOPE, JWT)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b".",
        b"a.b",
        b"a.b.c.d",
        b"hello",
        b64(b"{}").encode(),
        b64(b"[]").encode(),
        b64(b'["passport_json"]').encode(),
        b64(b"not json").encode(),
        ENVELOPE + b"=",
        b'{"passport_json":{}}',
        b64(b"[" * 40_000).encode(),
    ],
)
def test_anything_else_is_malformed(text: bytes) -> None:
    """Neither a JWS nor an envelope: no passport at all."""
    with pytest.raises(MalformedError):
        read(text, JWT)
