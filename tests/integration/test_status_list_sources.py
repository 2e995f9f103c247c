"""A status list at its own address: read, judged, and not taken for another's."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from tests.awaiting import eventually
from tests.integration.test_http_sources import served

from passgate.clock import system_clock
from passgate.core.passport import Passport
from passgate.core.verification import Acceptance, check_revocation, verify
from passgate.sync.keeper import Keeper
from passgate.sync.settings import IssuerSettings
from passgate.testing import TestIssuer

LAB = TestIssuer("iss_lab")


@pytest.mark.parametrize("place", ["here", "elsewhere", "file"])
def test_a_list_counts_only_at_its_own_address(tmp_path: Path, place: str) -> None:
    """One of the same issuer that was put there in its stead is refused; a file is at its word."""

    async def scenario() -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            subject = str(request.url) + ("" if place == "here" else "2")
            body = LAB.status_list(subject, 0, 1, 2)
            return web.Response(body=body.encode(), content_type="application/statuslist+jwt")

        async with served(handler) as url:
            source = url
            if place == "file":
                (tmp_path / "list.jwt").write_text(LAB.status_list(url, 0, 1, 2))
                source = f"file:{tmp_path}/list.jwt"
            static = LAB.trusted(system_clock(), keys=None, revocations=None)
            keeper = Keeper([IssuerSettings(static, LAB.jwks, source)], tmp_path / "trust")
            await keeper.start()
            await eventually(lambda: (row := keeper.status()[1])["loaded"] or row["error"])
            found = [judged(keeper, url, index) for index in (0, 1, 2, 4)]
            if place == "elsewhere":
                assert "another address" in keeper.status()[1]["error"]
                assert found == ["trust_stale"] * 4
            else:
                assert found == ["", "passport_revoked", "passport_revoked", "trust_stale"]
            await keeper.close()

    asyncio.run(scenario())


def judged(keeper: Keeper, uri: str, index: int) -> str:
    text = LAB.mint(claims={"status": {"status_list": {"idx": index, "uri": uri}}})
    passport = verify(text, keeper.trust, Acceptance())
    assert isinstance(passport, Passport)
    refusal = check_revocation(passport, keeper.trust.issuers["iss_lab"], system_clock())
    return "" if refusal is None else refusal.code
