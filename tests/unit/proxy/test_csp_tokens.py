"""csp tokens behind the connection: what the upstream, the log and the holder are told."""

import base64
import json
from pathlib import Path
from typing import Any

from tests.support.house import House, body_of, inside

from passgate.authority.csp_minting import delegate_csp, mint_csp
from passgate.core.kills import Kill, kills_of
from passgate.testing import TestIssuer

PREFIX = "/.well-known/passgate"


def settings(directory: Path, **more: Any) -> dict[str, Any]:
    """A gate that takes csp tokens of the house's issuer."""
    issuer = TestIssuer()
    entry = {
        "id": issuer.id,
        "keys": issuer.jwks,
        "revocations": f"file:{directory}/revocations.jwt",
        "formats": ["jwt", "csp"],
    }
    return {"passport": {"formats": ["jwt", "csp"]}, "issuers": [entry | more]}


def tokens(house: House) -> tuple[str, str]:
    """A child's token, and its root's."""
    about: dict[str, Any] = {"model": "m", "audience": "gate_test", "now": house.clock.wall}
    root = mint_csp(
        house.issuer.signer,
        person="Ä person",
        agent="alice",
        scope=["*"],
        assurance={"ial": 2, "fal": 1},
        **about,
    ).token
    child = delegate_csp(house.issuer.signer, root, agent="bob", scope=["api:*"], **about).token
    return child, root


def beside(root: str) -> dict[str, Any]:
    return {"headers": (("X-Agent-Passport-Chain", root),)}


def test_the_upstream_and_the_log_are_told_of_the_person(tmp_path: Path) -> None:
    """Whoever wrote such headers himself, and whatever he wrote into them."""
    found: dict[str, Any] = {}

    async def work(house: House) -> None:
        child, root = tokens(house)
        forged = (("X-Passport-Principal", "root"), ("X-Agent-Passport-Chain", root))
        forward = await house.forwarded("GET", "/v1/search", child, headers=forged)
        found["head"] = forward.head.decode("ascii")
        native = await house.forwarded("GET", "/v1/search", house.mint())
        found["native"] = native.head.decode("ascii")

    house = inside(tmp_path, work, upstream={"assertion": "jwt"}, **settings(tmp_path))

    head = found["head"]
    assert "X-Passport-Agent: bob\r\n" in head
    assert head.count("X-Passport-Principal: ") == 1
    assert "X-Passport-Principal: %C3%84%20person\r\n" in head
    assert "X-Passport-Assurance: ial=2,fal=1\r\n" in head
    assert "Chain" not in head
    assert "Principal" not in found["native"]
    said = head.partition("X-Passport-Assertion: ")[2].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
    assert (claims["principal"], claims["assurance"]) == ("Ä person", "ial=2,fal=1")
    line, native = house.lines("decision")
    assert (line["facts"]["principal"], line["facts"]["assurance"]) == ("Ä person", "ial=2,fal=1")
    assert "principal" not in native["facts"]
    assert len(line["chain"]) == 1
    assert line["chain"][0] in line["passport_id"]
    (claims, *_) = [row["claims"] for row in house.lines("passport") if row["agent_id"] == "bob"]
    assert claims["sub"] == "Ä person"


def test_a_person_of_whom_nothing_is_known_is_named_alone(tmp_path: Path) -> None:
    """No level, no header."""
    found: list[str] = []

    async def work(house: House) -> None:
        token = mint_csp(
            house.issuer.signer,
            person="p",
            agent="a",
            model="m",
            audience="gate_test",
            scope=["api:*"],
            now=house.clock.wall,
        ).token
        forward = await house.forwarded("GET", "/v1/search", token)
        found.append(forward.head.decode("ascii"))

    house = inside(tmp_path, work, upstream={"assertion": "jwt"}, **settings(tmp_path))

    assert "X-Passport-Principal: p\r\n" in found[0]
    assert "Assurance" not in found[0]
    (line,) = house.lines("decision")
    assert "assurance" not in line["facts"]


def test_the_holder_is_told_what_the_gate_makes_of_it(tmp_path: Path) -> None:
    """Its standing and its dry runs, with its parents and without them."""

    async def work(house: House) -> None:
        child, root = tokens(house)
        told = body_of(await house.answered("GET", f"{PREFIX}/passport", child, **beside(root)))
        assert told["agent"] == "bob"
        assert told["permissions"] == ["api:*"]
        assert set(told["actions"]) == {"api:search", "api:export"}
        asked = b'{"action": "api:search"}'
        dry = await house.answered("POST", f"{PREFIX}/check", child, body=asked, **beside(root))
        assert body_of(dry)["decision"] == "allow"
        alone = await house.answered("GET", f"{PREFIX}/passport", child)
        assert body_of(alone)["code"] == "chain_invalid"
        wild = body_of(await house.answered("GET", f"{PREFIX}/passport", root))
        assert wild["actions"] == {}

    inside(tmp_path, work, **settings(tmp_path))


def test_an_entry_that_allows_catch_alls_opens_the_root(tmp_path: Path) -> None:
    """By configuration, as far as the issuer may grant."""

    async def work(house: House) -> None:
        child, root = tokens(house)
        await house.forwarded("GET", "/v1/search", root)
        refused = await house.answered("POST", "/v1/orders", root, body=b'{"amount": 1}')
        assert body_of(refused)["code"] == "permission_denied"
        await house.forwarded("GET", "/v1/search", child, **beside(root))

    inside(tmp_path, work, **settings(tmp_path, catch_all=True, permissions=["api:*"]))


def test_what_began_is_judged_by_every_link(tmp_path: Path) -> None:
    """A kill or a floor of now counts for what is under way, and for whom it was delegated by."""

    async def work(house: House) -> None:
        child, root = tokens(house)
        forward = await house.forwarded("GET", "/v1/search", child, **beside(root))
        passport = forward.record.passport
        assert passport is not None
        policy = house.enforcer.world.policy
        trust = house.keeper.trust
        assert policy.still_allowed(passport, trust, house.clock())
        kill = Kill("kill_1", "agent", "alice", "", "", "ann", 0)
        killed = type(trust)(trust.issuers, trust.version, kills_of([kill]))
        stopped = policy.stopped("api:search", passport, killed)
        assert stopped is not None
        assert stopped.code == "killed"

    inside(tmp_path, work, **settings(tmp_path))
