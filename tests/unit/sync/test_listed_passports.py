"""Passports that an issuer lists: read whole, and kept over rubbish and restarts."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.awaiting import eventually
from tests.craft import KEY, KID, credential, issuer, jwk_of

from passgate.core.trust import PROOF
from passgate.sync.keeper import Keeper
from passgate.sync.settings import IssuerSettings

JWKS = {"keys": [{**jwk_of(KEY), "kid": KID}]}


def settings(file: Path, keys: Any = JWKS) -> IssuerSettings:
    entry = replace(issuer(), by_reference=PROOF)
    return IssuerSettings(entry, keys, None, passports=f"file:{file}", refresh_s=1.0)


def known(keeper: Keeper) -> set[str] | None:
    passports = keeper.trust.issuers["iss_lab"].passports
    return None if passports is None else set(passports.by_id)


def error(keeper: Keeper) -> str:
    return next(row["error"] for row in keeper.status() if row["kind"] == "passports")


def test_a_list_counts_whole_and_stays_until_a_better_one(tmp_path: Path) -> None:
    """One bad passport in it changes nothing, and is told; an empty list takes all away."""
    file = tmp_path / "passports.json"

    async def follow() -> None:
        file.write_text(json.dumps([credential({"jti": "pass_a"})]))
        keeper = Keeper([settings(file)], tmp_path / "trust")
        await keeper.start()
        try:
            assert known(keeper) == {"pass_a"}
            file.write_text(json.dumps([credential({"jti": "pass_b"}), "rubbish"]))
            await eventually(lambda: error(keeper) != "")
            assert "entry 2 of the list of passports is refused" in error(keeper)
            assert known(keeper) == {"pass_a"}
            file.write_text("[]")
            await eventually(lambda: known(keeper) == set())
            await eventually(lambda: error(keeper) == "")
        finally:
            await keeper.close()

    asyncio.run(follow())


def test_the_last_good_copy_is_taken_up_if_its_keys_are(tmp_path: Path) -> None:
    """Without the source; what other keys cannot verify does not count."""
    file = tmp_path / "passports.json"
    file.write_text(json.dumps([credential({"jti": "pass_a"})]))

    async def once(keys: Any) -> set[str] | None:
        keeper = Keeper([settings(file, keys)], tmp_path / "trust")
        await keeper.start()
        found = known(keeper)
        await keeper.close()
        return found

    assert asyncio.run(once(JWKS)) == {"pass_a"}
    file.unlink()
    assert asyncio.run(once(JWKS)) == {"pass_a"}
    assert asyncio.run(once({"keys": [{**jwk_of(KEY), "kid": "key-9"}]})) is None


def test_another_source_begins_with_nothing(tmp_path: Path) -> None:
    """And the same one goes on with what it knows."""
    file, other = tmp_path / "passports.json", tmp_path / "other.json"
    file.write_text(json.dumps([credential({"jti": "pass_a"})]))

    async def change() -> None:
        keeper = Keeper([settings(file)], None)
        await keeper.start()
        try:
            await keeper.reconfigure([replace(settings(file), refresh_s=2.0)])
            assert known(keeper) == {"pass_a"}
            await keeper.reconfigure([settings(other)])
            assert known(keeper) is None
        finally:
            await keeper.close()

    asyncio.run(change())
