"""What answers say is left, held to what then really passes: no more, no less, not a second sooner.

Every kind of limit, alone and together, at moments that no window likes.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.house import PREFIX, House, body_of, headers_of, inside

from passgate.proxy.steps import Answer, Forward

COST = 50  # of POST /v1/export
RELAXED = {"audit": {"durability": "relaxed"}}


def window(name: str) -> dict[str, Any]:
    return {"core:cost:max_cumulative": 230, "core:cost:cumulative_window": name}


RATES: dict[str, dict[str, Any]] = {
    "minute": {"core:rate:max_per_minute": 4},
    "hour": {"core:rate:max_per_hour": 4},
    "day": {"core:rate:max_per_day": 4},
    "hour before minute": {"core:rate:max_per_minute": 9, "core:rate:max_per_hour": 3},
    # The hour has the smaller share left, the minute the fewer requests.
    "minute before hour": {"core:rate:max_per_minute": 3, "core:rate:max_per_hour": 4},
    "both at once": {"core:rate:max_per_minute": 3, "core:rate:max_per_hour": 3},
    "rate and budget": {"core:rate:max_per_minute": 3, **window("daily")},
}
BUDGETS = ("daily", "weekly", "monthly", "90m", "10s")
TOTALS: dict[str, dict[str, Any]] = {
    "total": {"core:rate:max_total": 4},
    "total before rate": {"core:rate:max_total": 2, "core:rate:max_per_minute": 5},
    "spent once and for all": window("total"),
}


async def ask(house: House, token: str) -> Answer | Forward:
    step = await house.ask("POST", "/v1/export", token)
    if isinstance(step, Forward):
        house.enforcer.finished(step, 200, 0, "completed", sent=True)
    return step


def trust_for_long(house: House) -> None:
    """Lets nothing become stale while the clock runs on."""
    (followed,) = house.keeper._followed.values()
    issuer = replace(followed.settings.issuer, max_stale_s=1e9)
    followed.settings = replace(followed.settings, issuer=issuer)
    house.keeper._compose()


def told(step: Answer | Forward) -> int:
    """How many more requests of this cost may pass, by what an answer says."""
    headers = headers_of(step)
    counts = [int(found) for found in re.findall(r";r=(\d+)", headers.get("ratelimit", ""))]
    cents = re.findall(r"remaining_cents=(\d+)", headers.get("passport-budget", ""))
    counts += [int(found) // COST for found in cents]
    assert counts, headers
    return min(counts)


async def held_to(house: House, token: str, apart_s: float) -> Answer:
    """Uses up what is left, request by request; the refusal that ends it."""
    step = await ask(house, token)
    while isinstance(step, Forward):
        left = told(step)
        shown = body_of(await house.answered("GET", f"{PREFIX}/passport", token))
        rows = shown["actions"]["api:export"]["left"]
        room = [row["remaining"] // (COST if row["kind"] == "spend" else 1) for row in rows]
        assert min(room) == left
        house.clock.advance(apart_s)
        step = await ask(house, token)
        assert isinstance(step, Forward) == (left > 0), "what was told did not pass"
        if isinstance(step, Forward):
            assert told(step) == left - 1
    return step


def retry_after_s(refused: Answer) -> int:
    headers = headers_of(refused)
    seconds = int(headers["retry-after"])
    assert body_of(refused)["retry_after_s"] == seconds
    assert told(refused) == 0
    for reset in re.findall(r";t=(\d+)|reset=(\d+)", "".join(headers.values())):
        assert int(reset[0] or reset[1]) <= seconds
    return seconds


@pytest.mark.parametrize("start", [0.0, 12_345.678])
@pytest.mark.parametrize(
    "constraints",
    [*RATES.values(), *(window(name) for name in BUDGETS)],
    ids=[*RATES, *BUDGETS],
)
def test_what_is_told_passes_and_comes_back_on_the_second(
    tmp_path: Path, constraints: dict[str, Any], start: float
) -> None:
    """Exactly what is left passes; at `Retry-After` one more does, and a second before none."""

    async def work(house: House) -> None:
        trust_for_long(house)
        house.clock.advance(start)
        token = house.mint(permissions=["*"], constraints=constraints, ttl_s=80 * 86_400)
        refused = await held_to(house, token, 0.3)
        assert refused.status in (403, 429)
        house.clock.advance(retry_after_s(refused) - 1)
        sooner = await ask(house, token)
        assert isinstance(sooner, Answer), "it came back sooner than told"
        assert retry_after_s(sooner) == 1
        house.clock.advance(1)
        assert isinstance(await ask(house, token), Forward), "it did not come back when told"

    inside(tmp_path, work, passport={"max_lifetime": "90d"}, **RELAXED)


@pytest.mark.parametrize("constraints", TOTALS.values(), ids=TOTALS)
def test_what_never_comes_back_is_told_so(tmp_path: Path, constraints: dict[str, Any]) -> None:
    """Without a time at which it would; `Retry-After` is when another passport may follow."""

    async def work(house: House) -> None:
        token = house.mint(permissions=["*"], constraints=constraints, ttl_s=3600)
        refused = await held_to(house, token, 0.0)
        assert retry_after_s(refused) == 3600
        headers = headers_of(refused)
        for name in ("ratelimit", "passport-budget"):
            assert not re.search(r";t=|reset=", headers.get(name, ""))
        house.clock.advance(3599)
        assert isinstance(await ask(house, token), Answer)

    inside(tmp_path, work, **RELAXED)


def test_the_gates_own_limits_are_told_like_the_passports(tmp_path: Path) -> None:
    """Whoever demands them: the tightest is told, and a reissued passport has no more."""

    async def work(house: House) -> None:
        first = house.mint(agent="a", permissions=["*"], constraints=RATES["hour"])
        assert told(await ask(house, first)) == 2
        other = house.mint(agent="a", permissions=["*"], constraints=RATES["hour"])
        refused = await held_to(house, other, 1.0)
        assert retry_after_s(refused) < 61
        assert isinstance(await ask(house, first), Answer)

    gate = {"core:rate:max_per_minute": 3}
    inside(tmp_path, work, constraints=gate, **RELAXED)


def test_how_many_may_run_at_once_is_told(tmp_path: Path) -> None:
    """So many more may begin while none has ended; the next one is told to wait a second."""

    async def work(house: House) -> None:
        token = house.mint(permissions=["*"], constraints={"core:rate:max_concurrent": 3})
        running = []
        for left in (2, 1, 0):
            step = await house.forwarded("POST", "/v1/export", token)
            assert headers_of(step)["ratelimit"] == f'"max_concurrent";r={left}'
            assert headers_of(step)["ratelimit-policy"] == (
                '"max_concurrent";q=3;qu="concurrent-requests"'
            )
            running.append(step)
        refused = await house.answered("POST", "/v1/export", token)
        assert (refused.status, headers_of(refused)["retry-after"]) == (429, "1")
        assert headers_of(refused)["ratelimit"] == '"max_concurrent";r=0;t=1'
        house.enforcer.finished(running[0], 200, 0, "completed", sent=True)
        await house.forwarded("POST", "/v1/export", token)

    inside(tmp_path, work, **RELAXED)


def test_anonymous_answers_tell_what_is_left_of_the_address(tmp_path: Path) -> None:
    """The tier's own limits, in refusals as well."""

    async def work(house: House) -> None:
        for left in (1, 0):
            step = await house.forwarded("GET", "/public/x")
            assert headers_of(step)["ratelimit"].startswith(f'"rate_limit_per_minute";r={left};t=')
        refused = await house.answered("GET", "/public/x")
        assert headers_of(refused)["ratelimit"].startswith('"rate_limit_per_minute";r=0;t=')
        house.clock.advance(int(headers_of(refused)["retry-after"]) - 1)
        assert isinstance(await house.ask("GET", "/public/x"), Answer)
        house.clock.advance(1)
        await house.forwarded("GET", "/public/x")

    tier = {"enabled": True, "allowed_actions": ["public"], "rate_limit_per_minute": 2}
    inside(tmp_path, work, anonymous=tier, **RELAXED)


def test_other_refusals_tell_of_no_limit(tmp_path: Path) -> None:
    """What a request does not come to is not told to whoever may not make it."""

    async def work(house: House) -> None:
        token = house.mint(permissions=["shop:*"], constraints=RATES["minute"])
        refused = await house.answered("POST", "/v1/export", token)
        assert (refused.status, "ratelimit" in headers_of(refused)) == (403, False)

    inside(tmp_path, work, **RELAXED)
