"""An upstream can prove that exactly this request came through exactly this gate, a moment ago."""

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
from tests.support.house import House, body_of, inside

from passgate.proxy.steps import Forward

JWT = {"upstream": {"assertion": "jwt"}}
ANONYMOUS = {"anonymous": {"enabled": True, "allowed_actions": ["public"]}}


def assertions_in(forward: Forward) -> list[str]:
    return [
        found.decode()
        for found in re.findall(rb"(?im)^x-passport-assertion: ([^\r]*)\r$", forward.head)
    ]


async def public_key(house: House) -> jwt.PyJWK:
    answer = await house.answered("GET", "/.well-known/passgate/keys")
    (key,) = body_of(answer)["keys"]
    return jwt.PyJWK.from_dict(key)


def verified(house: House, token: str, key: jwt.PyJWK, audience: str) -> dict[str, Any]:
    """The claims, checked by PyJWT; times are left out, for the house has a clock of its own."""
    header = jwt.get_unverified_header(token)
    assert header == {"alg": "EdDSA", "typ": "passgate-assertion+jwt", "kid": key.key_id}
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["EdDSA"],
        audience=audience,
        issuer=house.config.gate.id,
        options={"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "jti"]},
    )
    return claims


def test_it_says_what_the_headers_say_and_which_request_it_is_about(tmp_path: Path) -> None:
    """Facts, decision, method, Host and the hash of the target as forwarded, for 60 seconds."""

    async def work(house: House) -> None:
        passport = house.mint(agent="agent ä", passport_id="pass_1")
        forward = await house.forwarded("GET", "/v1/search?q=%41", passport)
        (token,) = assertions_in(forward)
        claims = verified(house, token, await public_key(house), "http://127.0.0.1:1")
        now = int(house.clock.wall)
        assert claims == {
            "iss": "gate_test",
            "aud": "http://127.0.0.1:1",
            "iat": now,
            "exp": now + 60,
            "jti": forward.record.decision_id,
            "sub": "agent ä",
            "passport_id": "pass_1",
            "passport_issuer": house.issuer.id,
            "tier": "L2",
            "access": "passport",
            "action": "api:search",
            "method": "GET",
            "host": "api.example",
            "target_sha256": sha256(b"/v1/search?q=%41").hexdigest(),
        }

    inside(tmp_path, work, **JWT)


def test_an_anonymous_request_has_one_too(tmp_path: Path) -> None:
    """It says that nobody is vouched for; no claim of a passport is there."""

    async def work(house: House) -> None:
        forward = await house.forwarded("GET", "/public/x")
        (token,) = assertions_in(forward)
        claims = verified(house, token, await public_key(house), "http://127.0.0.1:1")
        assert claims["access"] == "anonymous"
        assert not claims.keys() & {"sub", "passport_id", "passport_issuer", "tier"}

    inside(tmp_path, work, **JWT, **ANONYMOUS)


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("https://api.internal", "https://api.internal"),
        ("https://API.internal:443/", "https://api.internal"),
        ("http://api.internal:80", "http://api.internal"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://api.internal:80", "https://api.internal:80"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
    ],
)
def test_its_audience_is_the_upstreams_origin(tmp_path: Path, url: str, audience: str) -> None:
    """A statement for one upstream is not good for another."""
    house = House(tmp_path, {"upstream": {"url": url, "assertion": "jwt"}})
    assert house.config.upstream.assertion_audience == audience


def test_its_audience_can_be_configured(tmp_path: Path) -> None:
    """With `assertion_audience` that is the `aud`."""

    async def work(house: House) -> None:
        (token,) = assertions_in(await house.forwarded("GET", "/v1/search", house.mint()))
        key = await public_key(house)
        assert verified(house, token, key, "my-api")["aud"] == "my-api"
        with pytest.raises(jwt.InvalidAudienceError):
            verified(house, token, key, "http://127.0.0.1:1")

    inside(tmp_path, work, upstream={"assertion": "jwt", "assertion_audience": "my-api"})


@pytest.mark.parametrize("assertion", ["none", "jwt"])
def test_what_a_client_sends_under_its_name_never_arrives(tmp_path: Path, assertion: str) -> None:
    """In any spelling; there is the gate's own or none."""
    forged = (
        ("X-Passport-Assertion", "forged"),
        ("x-passport-assertion", "forged"),
        ("X_Passport_Assertion", "forged"),
    )

    async def work(house: House) -> None:
        forward = await house.forwarded("GET", "/v1/search", house.mint(), headers=forged)
        assert b"forged" not in forward.head
        assert len(assertions_in(forward)) == (assertion == "jwt")

    inside(tmp_path, work, upstream={"assertion": assertion})


def test_each_request_has_its_own(tmp_path: Path) -> None:
    """Two equal requests have two decisions, and so two statements."""

    async def work(house: House) -> None:
        passport = house.mint()
        tokens = [
            assertions_in(await house.forwarded("GET", "/v1/search", passport))[0] for _ in range(2)
        ]
        key = await public_key(house)
        ids = {verified(house, token, key, "http://127.0.0.1:1")["jti"] for token in tokens}
        assert len(ids) == 2

    inside(tmp_path, work, **JWT)


def test_a_key_that_cannot_sign_forwards_nothing(tmp_path: Path) -> None:
    """The upstream relies on the statement: without one the request is answered 500."""

    class Broken:
        public_key = bytes(32)

        def sign(self, message: bytes) -> bytes:
            raise OSError("the key is away")

    async def work(house: House) -> None:
        from passgate.proxy.assertion import Assertions

        house.enforcer.assertions = Assertions("gate_test", Broken())
        answer = await house.answered("GET", "/v1/search", house.mint())
        assert (answer.status, body_of(answer)["code"]) == (500, "internal_error")
        assert house.enforcer.inflight == 0

    inside(tmp_path, work, **JWT)
