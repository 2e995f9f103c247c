"""From `passgate revoke` to the gate's refusal, by real files and the real clock."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from tests.awaiting import eventually

from passgate.authority.keys import new_issuer
from passgate.authority.minting import mint_passport
from passgate.authority.revoking import new_list
from passgate.clock import system_clock
from passgate.core.passport import Passport
from passgate.core.reasons import Refusal
from passgate.core.trust import Trust
from passgate.core.verification import Acceptance, check_revocation, verify
from passgate.sync.keeper import Keeper
from passgate.sync.settings import IssuerSettings
from passgate.testing import TestIssuer


def judged(token: str, trust: Trust) -> str:
    passport = verify(token, trust, Acceptance())
    assert isinstance(passport, Passport)
    refusal: Refusal | None = check_revocation(
        passport, trust.issuers[passport.issuer], system_clock()
    )
    return "" if refusal is None else refusal.code


def test_a_revocation_in_a_file_takes_effect_within_two_seconds(tmp_path: Path) -> None:
    signer = new_issuer(tmp_path, "iss_lab")
    new_list(tmp_path, signer, time.time())
    minted = mint_passport(signer, agent="a", permissions=["*"], now=time.time())
    static = TestIssuer("iss_lab").trusted(system_clock(), keys=None, revocations=None)
    settings = IssuerSettings(
        static, f"file:{tmp_path}/jwks.json", f"file:{tmp_path}/revocations.jwt", refresh_s=3600.0
    )

    async def scenario() -> float:
        keeper = Keeper([settings], tmp_path / "trust")
        await keeper.start()
        assert judged(minted.token, keeper.trust) == ""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "passgate", "revoke", "--issuer", str(tmp_path), minted.id,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        assert await process.wait() == 0
        started = time.monotonic()
        await eventually(lambda: judged(minted.token, keeper.trust) == "passport_revoked")
        took = time.monotonic() - started
        await keeper.close()
        return took

    assert asyncio.run(scenario()) < 2
