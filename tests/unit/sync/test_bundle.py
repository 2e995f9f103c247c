"""Trust bundles: one reading, one signer, all parts or none, and no part younger than it is."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nacl.bindings import crypto_sign_seed_keypair

from passgate.core.instant import Instant
from passgate.core.jwks import thumbprint
from passgate.core.jws import encode_base64url
from passgate.errors import SourceError
from passgate.log import GateKey
from passgate.sync.bundle import (
    Bundle,
    CatalogPart,
    Imported,
    Part,
    look_into,
    read_bundle,
    write_bundle,
)
from passgate.sync.exporting import bundle_of, collect
from passgate.sync.keeper import Keeper, TrustChange
from passgate.sync.settings import IssuerSettings
from passgate.sync.store import TrustStore
from passgate.testing import ManualClock, TestIssuer

LAB = TestIssuer("iss_lab")
OTHER = TestIssuer("iss_other")
ROTATED = TestIssuer("iss_lab", seed="next")


def gate_key(seed: bytes = b"s") -> GateKey:
    whole = seed.ljust(32, b"\1")
    return GateKey(crypto_sign_seed_keypair(whole)[0], whole)


KEY = gate_key()
KEYS = {"any name": KEY.public_key}


def keys_part(issuer: TestIssuer = LAB, read_at: int = 900, **more: Any) -> Part:
    body = json.dumps(issuer.jwks)
    return Part(issuer.id, "keys", "https://a", read_at, 3600, None, None, body, **more)


def list_part(
    *revoked: tuple[str, str], iat: int = 800, read_at: int = 900, issuer: TestIssuer = LAB
) -> Part:
    body = issuer.revocation_list(*revoked, now=iat)
    signed_by = (issuer.kid, issuer.public_key.hex())
    return Part("iss_lab", "revocations", "https://a", read_at, 3600, iat, signed_by, body)


def bundle(*parts: Part, version: int = 1000, **more: Any) -> Bundle:
    return Bundle("gate_online", 1000, version, list(parts), more.get("catalogs", []))


def signed(payload: bytes, key: GateKey = KEY, **header: Any) -> bytes:
    head = {"alg": "EdDSA", "kid": thumbprint(key.public_key), "typ": "trust-bundle+jwt"} | header
    text = encode_base64url(json.dumps(head).encode()) + b"." + encode_base64url(payload)
    return text + b"." + encode_base64url(key.sign(text))


def test_what_is_written_is_read() -> None:
    """With the key that signed it, whatever its name is where it is trusted."""
    whole = bundle(keys_part(), list_part(), catalogs=[CatalogPart("gate_online", ["{}"])])
    text = write_bundle(whole, KEY)
    assert read_bundle(text, KEYS) == (whole, KEY.public_key)
    assert look_into(text) == (whole, thumbprint(KEY.public_key))


def test_nobody_else_signs() -> None:
    """Another key, another key under the trusted one's name, and no key at all are refused."""
    stranger = gate_key(b"t")
    text = write_bundle(bundle(keys_part()), stranger)
    for keys in (KEYS, {}, {thumbprint(stranger.public_key): KEY.public_key}):
        with pytest.raises(ValueError, match="not among the trusted ones"):
            read_bundle(text, keys)
    posing = signed(msgspec.json.encode(bundle()), stranger, kid=thumbprint(KEY.public_key))
    with pytest.raises(ValueError, match="does not verify"):
        read_bundle(posing, KEYS)


def test_no_byte_may_change() -> None:
    """Wherever one is flipped, cut or added, the bundle is refused."""
    text = write_bundle(bundle(keys_part(), list_part()), KEY)
    for at in range(0, len(text) - 1, 7):
        with pytest.raises(ValueError, match=r"."):
            read_bundle(text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :], KEYS)
    for other in (text[:-2], text + b"\n", b" " + text, text[: len(text) // 2], b"", b"."):
        with pytest.raises(ValueError, match=r"."):
            read_bundle(other, KEYS)


GOOD = msgspec.json.encode(bundle(keys_part()))
PAYLOADS: dict[str, bytes] = {
    "a member twice": GOOD[:-1] + b',"version":1}',
    "a member that nobody knows": GOOD[:-1] + b',"more":1}',
    "white space": b" " + GOOD,
    "another spelling of a text": GOOD.replace(b"gate_online", b"gate\\u005fonline"),
    "a fraction": GOOD.replace(b'"version":1000', b'"version":1000.5'),
    "no version": GOOD.replace(b',"version":1000', b""),
    "no object": b"[]",
    "no JSON": b"trust me",
    "no text": GOOD.replace(b"gate_online", b"gate\xffonline"),
    "a version of nothing": msgspec.json.encode(bundle(version=0)),
    "a version beyond numbers": msgspec.json.encode(bundle(version=2**53)),
    "the same part twice": msgspec.json.encode(bundle(keys_part(), keys_part())),
    "a kind that nobody knows": msgspec.json.encode(
        bundle(msgspec.structs.replace(keys_part(), kind="wishes"))
    ),
    "a part read later than the bundle was made": msgspec.json.encode(bundle(keys_part(LAB, 1001))),
    "a part without an issuer": msgspec.json.encode(
        bundle(msgspec.structs.replace(keys_part(), issuer=""))
    ),
    "a part that is good for ever": msgspec.json.encode(
        bundle(msgspec.structs.replace(keys_part(), max_age_s=2**40))
    ),
    "a part that was never good": msgspec.json.encode(
        bundle(msgspec.structs.replace(keys_part(), max_age_s=0))
    ),
    "a list of before all time": msgspec.json.encode(
        bundle(msgspec.structs.replace(keys_part(), highest_iat=-1))
    ),
    "two catalogs of one gate": msgspec.json.encode(
        bundle(catalogs=[CatalogPart("g", []), CatalogPart("g", [])])
    ),
    "an exporter without a name": msgspec.json.encode(Bundle("", 1, 1, [], [])),
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_a_signed_payload_is_read_strictly(payload: bytes) -> None:
    """Also who is trusted cannot say what could be read in two ways, or makes no sense."""
    with pytest.raises(ValueError, match=r"."):
        read_bundle(signed(payload), KEYS)
    with pytest.raises(ValueError, match=r"."):
        look_into(signed(payload))


@pytest.mark.parametrize(
    "header",
    [{"typ": "passport+jwt"}, {"typ": "JWT"}, {"alg": "none"}, {"alg": "HS256"}, {"crit": ["x"]},
     {"jwk": {}}],
)  # fmt: skip
def test_the_header_is_that_of_a_bundle(header: dict[str, Any]) -> None:
    """No passport or list of the same key can be taken for a bundle."""
    with pytest.raises(ValueError, match=r"."):
        read_bundle(signed(GOOD, **header), KEYS)


class Offline:
    """A keeper that lives by bundles, its clock at 1000 s."""

    def __init__(self, *settings: IssuerSettings, directory: Path | None = None) -> None:
        self.clock = ManualClock(wall=1000.0)
        self.store = None if directory is None else TrustStore(directory, "b")
        self.changes: list[TrustChange] = []
        self.keeper = Keeper(
            settings or [entry()], self.store, clock=self.clock, wait=self.clock.wait
        )
        self.keeper.on_change(self.changes.append)

    async def adopt(self, *parts: Part, version: int = 1000) -> list[tuple[str, str]]:
        imported = Imported(bundle(*parts, version=version), KEY.public_key, self.clock())
        return [(part.issuer, part.kind) for part in await self.keeper.adopt(imported)]

    @property
    def issuer(self) -> Any:
        return self.keeper.trust.issuers["iss_lab"]


def entry(issuer: TestIssuer = LAB, **options: Any) -> IssuerSettings:
    trusted = issuer.trusted(Instant(0.0, 0.0), keys=None, revocations=None)
    return IssuerSettings(trusted, **({"keys": "bundle", "revocations": "bundle"} | options))


def run(scenario: Callable[[], Any]) -> None:
    asyncio.run(scenario())


def test_all_parts_come_in_one_step() -> None:
    """One change, in which keys and list and version are all new."""

    async def scenario() -> None:
        world = Offline()
        assert world.issuer.keys is None
        taken = await world.adopt(keys_part(), list_part(("agent", "agent_7")))
        assert taken == [("iss_lab", "keys"), ("iss_lab", "revocations")]
        (change,) = world.changes
        assert (change.what, change.before.bundle, change.after.bundle) == ("bundle", 0, 1000)
        assert change.before.issuers["iss_lab"].keys is None
        assert LAB.kid in change.after.issuers["iss_lab"].keys.keys  # type: ignore[union-attr]
        assert "agent_7" in world.issuer.revocations.agents
        assert all(row["from_bundle"] and row["error"] == "" for row in world.keeper.status())

    run(scenario)


def test_one_bad_part_refuses_all() -> None:
    """Whichever it is, nothing has changed, and nobody was told anything."""
    bad = [
        msgspec.structs.replace(keys_part(), body='{"keys": [{}]}'),
        msgspec.structs.replace(list_part(), body=OTHER.revocation_list(now=800)),
        msgspec.structs.replace(list_part(), signed_by=None),
        msgspec.structs.replace(list_part(), signed_by=(OTHER.kid, OTHER.public_key.hex())),
        msgspec.structs.replace(list_part(), signed_by=(LAB.kid, "no hex")),
    ]

    async def scenario() -> None:
        for part in bad:
            world = Offline()
            before = world.keeper.trust
            rest = list_part() if part.kind == "keys" else keys_part()
            with pytest.raises(SourceError, match="the trust bundle cannot be used: "):
                await world.adopt(rest, part)
            assert world.keeper.trust is before
            assert world.keeper.bundle is None
            assert not world.changes

    run(scenario)


def test_a_part_is_as_old_as_at_the_exporter() -> None:
    """It ages from there, by its own limit where the issuer allows more."""

    async def scenario() -> None:
        world = Offline()
        await world.adopt(keys_part(LAB, 900), list_part(read_at=500))
        assert world.issuer.age_at(world.clock()) == 500.0
        assert not world.issuer.stale_at(world.clock())
        world.clock.advance(3101)  # the list is 3601 s old, its limit and the issuer's are an hour
        assert world.issuer.stale_at(world.clock())
        patient = replace(world.issuer, max_stale_s=90_000.0)
        assert patient.stale_at(world.clock())
        assert [row["max_age_s"] for row in world.keeper.status()] == [3600, 3600]

    run(scenario)


def test_an_older_version_is_refused() -> None:
    """What was taken before stays in force; the same version again is no harm."""

    async def scenario() -> None:
        world = Offline()
        await world.adopt(keys_part(ROTATED), list_part(), version=1000)
        with pytest.raises(SourceError, match="version 999, which is older than version 1000"):
            await world.adopt(keys_part(LAB), version=999)
        assert ROTATED.kid in world.issuer.keys.keys
        assert await world.adopt(keys_part(ROTATED), list_part(), version=1000) == []

    run(scenario)


def test_what_is_newer_counts() -> None:
    """Of keys what was read last, of lists the higher `iat`; the rest of the bundle is taken."""

    async def scenario() -> None:
        world = Offline()
        await world.adopt(keys_part(ROTATED, 950), list_part(("agent", "a"), iat=800, read_at=900))
        older_keys = await world.adopt(
            keys_part(LAB, 940), list_part(("agent", "b"), iat=801, read_at=850), version=1001
        )
        assert older_keys == [("iss_lab", "revocations")]
        assert ROTATED.kid in world.issuer.keys.keys
        assert "b" in world.issuer.revocations.agents
        assert await world.adopt(list_part(iat=700, read_at=990), version=1002) == []
        assert "b" in world.issuer.revocations.agents

    run(scenario)


def test_a_plain_list_does_not_replace_a_signed_one() -> None:
    """Also not in a bundle: who signs once must sign for ever. Alone it counts."""
    plain = msgspec.structs.replace(
        list_part(read_at=990), signed_by=None, highest_iat=None, body='{"passport_ids":["p"]}'
    )

    async def scenario() -> None:
        world = Offline()
        await world.adopt(keys_part(), list_part(("agent", "a")))
        assert await world.adopt(plain, version=1001) == []
        assert "a" in world.issuer.revocations.agents
        fresh = Offline()
        assert await fresh.adopt(keys_part(), plain) == [
            ("iss_lab", "keys"),
            ("iss_lab", "revocations"),
        ]
        assert "p" in fresh.issuer.revocations.passports

    run(scenario)


def test_a_stolen_key_does_not_undo_its_revocation() -> None:
    """A newer list that a revoked key signs refuses the bundle."""

    async def scenario() -> None:
        world = Offline()
        await world.adopt(keys_part(), list_part(("key", LAB.kid), iat=800))
        with pytest.raises(SourceError, match="signed by a key that has been revoked"):
            await world.adopt(list_part(iat=801), version=1001)
        assert LAB.kid in world.issuer.revocations.keys

    run(scenario)


def test_parts_about_others_are_not_looked_at() -> None:
    """A bundle serves many gates: what is damaged about a stranger harms nobody here."""
    strange = msgspec.structs.replace(keys_part(OTHER), body="[]")

    async def scenario() -> None:
        world = Offline()
        assert await world.adopt(strange, keys_part()) == [("iss_lab", "keys")]
        assert set(world.keeper.trust.issuers) == {"iss_lab"}

    run(scenario)


def test_a_source_that_answers_goes_on(tmp_path: Path) -> None:
    """An issuer with files of its own has what was read of them last, and says so."""
    keys, listed = tmp_path / "jwks.json", tmp_path / "list.jwt"
    keys.write_text(json.dumps(LAB.jwks))
    listed.write_text(LAB.revocation_list(("agent", "of the file"), now=900))

    async def scenario() -> None:
        world = Offline(entry(keys=f"file:{keys}", revocations=f"file:{listed}"))
        await world.keeper.start()
        taken = await world.adopt(
            keys_part(ROTATED, 990), list_part(("agent", "of the bundle"), iat=950)
        )
        assert taken == [("iss_lab", "revocations")]
        assert "of the bundle" in world.issuer.revocations.agents
        assert [row["from_bundle"] for row in world.keeper.status()] == [False, True]
        listed.write_text(LAB.revocation_list(("agent", "newest"), now=960))
        while "newest" not in world.issuer.revocations.agents:
            world.clock.advance(61)
            await asyncio.sleep(0.005)
        assert [row["max_age_s"] for row in world.keeper.status()] == [None, None]
        await world.keeper.close()

    run(scenario)


def test_a_reload_keeps_what_a_bundle_taught(tmp_path: Path) -> None:
    """Issuers that stay keep it, and those that come learn from the bundle in force, which is read
    from the disk again: a gate keeps no second copy of lists in memory."""
    parts = (keys_part(), list_part(), keys_part(OTHER))

    async def scenario() -> None:
        world = Offline(directory=tmp_path)
        await world.keeper.start()
        assert world.store is not None
        world.store.save_bundle(write_bundle(bundle(*parts), KEY), world.clock())
        await world.adopt(*parts)
        kept = world.issuer.keys
        await world.keeper.reconfigure([entry(), entry(OTHER, revocations=None)])
        assert world.issuer.keys is kept
        others = world.keeper.trust.issuers["iss_other"].keys
        assert others is not None
        assert OTHER.kid in others.keys
        assert others.max_age_s == 3600
        assert world.keeper.trust.bundle == 1000
        assert world.keeper.bundle is not None
        assert world.keeper.bundle.bundle.parts == []
        await world.keeper.close()

    run(scenario)


def test_a_reload_takes_no_part_of_another_bundle(tmp_path: Path) -> None:
    """Where the one in force is gone, or another is there, everything stays as it was."""
    newer = bundle(keys_part(OTHER), version=1001)
    stranger = gate_key(b"t")
    wrong = (write_bundle(newer, KEY), write_bundle(newer, stranger), None)

    async def scenario() -> None:
        for text in wrong:
            world = Offline(directory=tmp_path / str(wrong.index(text)))
            await world.keeper.start()
            await world.adopt(keys_part())
            if text is not None:
                assert world.store is not None
                world.store.save_bundle(text, world.clock())
            before = world.keeper.trust
            with pytest.raises(SourceError, match="trust bundle"):
                await world.keeper.reconfigure([entry(), entry(OTHER, revocations=None)])
            assert world.keeper.trust is before
            await world.keeper.close()

    run(scenario)


def test_what_no_bundle_carries_goes_on_as_it_is(tmp_path: Path) -> None:
    """Passports by reference are listed by the issuer alone, beside what a bundle taught."""
    listed = tmp_path / "passports.json"
    listed.write_text("[]")

    async def scenario() -> None:
        trusted = LAB.trusted(Instant(0.0, 0.0), keys=None, revocations=None)
        settings = IssuerSettings(
            trusted, keys="bundle", revocations="bundle", passports=f"file:{listed}"
        )
        world = Offline(settings)
        await world.adopt(keys_part(), list_part())
        await world.keeper.start()
        rows = {row["kind"]: row for row in world.keeper.status()}
        assert rows["passports"]["loaded"]
        assert rows["passports"]["max_age_s"] is None
        assert rows["keys"]["max_age_s"] == 3600
        await world.keeper.close()

    run(scenario)


def test_without_a_bundle_it_is_said(tmp_path: Path) -> None:
    """Nothing is tried, nothing is known, and the way out is named."""

    async def scenario() -> None:
        world = Offline(directory=tmp_path)
        await world.keeper.start()
        for row in world.keeper.status():
            assert not row["loaded"]
            assert "passgate trust import" in row["error"]
            assert row["failures_total"] == 0
        await world.keeper.close()

    run(scenario)


def test_the_bundle_in_place_keeps_its_age(tmp_path: Path) -> None:
    """Over a restart, a reboot, and a wall clock that was set back: then nobody knows it."""
    clock = ManualClock(wall=1000.0)
    TrustStore(tmp_path, "boot 1").save_bundle(b"text", clock())
    clock.advance(50)
    for boot, wall, age in (("boot 1", 1050.0, 50.0), ("boot 2", 1050.0, 50.0)):
        found = TrustStore(tmp_path, boot).load_bundle(Instant(wall, clock().boot))
        assert found is not None
        assert Instant(wall, clock().boot).age_of(found[1]) == age
    back = Instant(900.0, 10.0)
    found = TrustStore(tmp_path, "boot 2").load_bundle(back)
    assert found is not None
    copy = Imported(bundle(keys_part()), KEY.public_key, found[1]).copy_of(keys_part())
    assert back.age_of(copy.read_at) > 9 * 365 * 86_400


def test_an_export_has_what_was_read(tmp_path: Path) -> None:
    """As the gate's copies have it, or as the sources have it now; never something in between."""
    keys, listed = tmp_path / "jwks.json", tmp_path / "list.jwt"
    keys.write_text(json.dumps(LAB.jwks))
    listed.write_text(LAB.revocation_list(now=900))
    clock, directory = ManualClock(wall=1000.0), tmp_path / "trust"
    settings = [entry(keys=f"file:{keys}", revocations=f"file:{listed}")]

    def export(*, fresh: bool) -> list[Part]:
        return collect(settings, directory, fresh=fresh, max_age_s=60, clock=clock)

    with pytest.raises(SourceError, match="start the gate, or use --fresh"):
        export(fresh=False)
    first = export(fresh=True)
    assert not directory.exists()
    assert [(part.kind, part.read_at, part.max_age_s) for part in first] == [
        ("keys", 1000, 60),
        ("revocations", 1000, 60),
    ]
    keeper = Keeper(settings, directory, clock=clock)
    asyncio.run(keeper.read_once())
    clock.advance(30)
    assert export(fresh=False) == first
    listed.write_text(LAB.revocation_list(now=890))
    with pytest.raises(SourceError, match="older than one accepted before"):
        export(fresh=True)
    with pytest.raises(SourceError, match="come from a trust bundle themselves"):
        collect([entry()], directory, fresh=False, max_age_s=60, clock=clock)


def test_versions_only_rise() -> None:
    """Two exports within a second, or of a clock that was set back, are told apart."""
    assert bundle_of([], [], gate_id="g", now=1000.5).version == 1_000_500
    assert bundle_of([], [], gate_id="g", now=1000.5, above=1_000_500).version == 1_000_501
    assert bundle_of([], [], gate_id="g", now=900.0, above=1_000_501).version == 1_000_502
