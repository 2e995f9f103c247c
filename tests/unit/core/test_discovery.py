"""A discovery document speaks for the issuer it was asked of, and leads nowhere else."""

import json
from typing import Any

import pytest
from tests.craft import UNSET

from passgate.core.discovery import discovery_url, origin_of, read_discovery

ISSUER = "https://issuer.example/tenant"
KEYS = "https://issuer.example/keys"


def read(origin: str | None = None, **change: Any) -> str:
    document = {"issuer": ISSUER, "jwks_uri": KEYS, "token_endpoint": "https://x.example", **change}
    kept = {name: value for name, value in document.items() if value is not UNSET}
    return read_discovery(json.dumps(kept).encode(), ISSUER, origin)


def test_the_keys_are_where_the_issuer_says() -> None:
    """Other members are about logins and change nothing."""
    assert read() == KEYS
    assert read(jwks_uri="https://ISSUER.example:443/k?v=1") == "https://ISSUER.example:443/k?v=1"


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://a.example", "https://a.example/.well-known/openid-configuration"),
        ("https://a.example/", "https://a.example/.well-known/openid-configuration"),
        ("https://a.example/t/v2.0", "https://a.example/t/v2.0/.well-known/openid-configuration"),
    ],
)
def test_the_document_is_below_the_issuer(issuer: str, url: str) -> None:
    """OpenID Connect Discovery section 4: a final slash is taken off."""
    assert discovery_url(issuer) == url


@pytest.mark.parametrize(
    "issuer",
    ["", "a.example", "ftp://a.example", "https://", "https://a.example?x", "https://a.example#x",
     "https://[::1", "https://a.example:port", "https://ä.example", "file:/etc/passwd"],
)  # fmt: skip
def test_what_is_no_issuer_is_refused(issuer: str) -> None:
    """An issuer is a URL without query and fragment."""
    with pytest.raises(ValueError, match="must be oidc: and the URL"):
        discovery_url(issuer)


@pytest.mark.parametrize(
    "issuer",
    [
        "https://issuer.example",
        ISSUER + "/",
        ISSUER.upper(),
        "https://evil.example",
        None,
        ["https://issuer.example/tenant"],
        UNSET,
    ],
)
def test_a_document_of_another_issuer_is_refused(issuer: Any) -> None:
    """Compared as text, exactly: a neighbour on the same host is another issuer."""
    with pytest.raises(ValueError, match="of another issuer"):
        read(issuer=issuer)


@pytest.mark.parametrize("url", [UNSET, None, 1, "", "/keys", "keys", "file:/etc/passwd", "x://y"])
def test_keys_without_an_address_are_refused(url: Any) -> None:
    """`jwks_uri` is an absolute URL."""
    with pytest.raises(ValueError, match="no `jwks_uri` that is a URL"):
        read(jwks_uri=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://keys.example/jwks",
        "https://issuer.example.evil.example/keys",
        "https://issuer.example:8443/keys",
        "http://issuer.example/keys",
        "http://127.0.0.1/keys",
        "http://169.254.169.254/latest",
        "https://issuer.example@evil.example/keys",
    ],
)
def test_keys_at_another_origin_are_refused_unless_named(url: str) -> None:
    """A document can lead the gate nowhere that the operator did not name."""
    with pytest.raises(ValueError, match="another origin"):
        read(jwks_uri=url)
    with pytest.raises(ValueError, match="another origin"):
        read(jwks_uri=url, origin="https://named.example")
    origin = origin_of(url)
    assert origin is not None
    assert read(jwks_uri=url, origin=origin) == url


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "not unambiguous JSON"),
        (b"<html>", "not unambiguous JSON"),
        (b'{"issuer":"a","issuer":"b"}', "not unambiguous JSON"),
        (b"[]", "not a JSON object"),
        (b'"x"', "not a JSON object"),
    ],
)
def test_what_is_no_document_is_refused(raw: bytes, sentence: str) -> None:
    """Wrong shapes, and duplicates of which one would have to be believed."""
    with pytest.raises(ValueError, match=sentence):
        read_discovery(raw, ISSUER)
