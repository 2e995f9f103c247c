"""The kill switch: what each kind stops, and what it does not."""

from typing import Any

import pytest
from tests.craft import CLAIMS, NOW
from tests.support.decisions import Scene, catalog

from passgate.core.anonymous import AnonymousPolicy
from passgate.core.decision import Plan, decide
from passgate.core.kills import (
    MAX_REASON,
    NO_KILLS,
    Kill,
    Kills,
    Link,
    check_order,
    kills_of,
)
from passgate.core.trust import Trust

OPEN = AnonymousPolicy(enabled=True, allowed_actions=("*",), read_only=False)
AGENT, PASSPORT = CLAIMS["sub"], CLAIMS["jti"]


def kill(kind: str, target: str = "", issuer: str = "", number: int = 0) -> Kill:
    return Kill(f"kill_{number}", kind, target, issuer, "", "ann", int(NOW.wall))


def kills(*orders: Kill) -> Kills:
    return kills_of(orders)


def said(plan: Plan) -> tuple[str, int] | None:
    refusal = plan.refusal
    return None if refusal is None else (refusal.code, refusal.http_status)


class TestWhatItStops:
    """Every kind, on a request that would pass."""

    @pytest.mark.parametrize(
        ("order", "status"),
        [
            (kill("all"), 503),
            (kill("action", "api:search"), 403),
            (kill("action", "api:*"), 403),
            (kill("issuer", "iss_lab"), 403),
            (kill("agent", AGENT), 403),
            (kill("agent", AGENT, "iss_lab"), 403),
            (kill("passport", PASSPORT), 403),
            (kill("passport", PASSPORT, "iss_lab"), 403),
        ],
    )
    def test_it_refuses(self, order: Kill, status: int) -> None:
        """`killed`, with 503 only where everything is stopped; a decision and an explanation."""
        scene = Scene(kills=(order,))
        assert said(scene.decide()) == ("killed", status)
        explained = scene.explain()
        assert explained.plan.refusal == scene.decide().refusal
        assert [row.number for row in explained.checks if row.outcome == "refused"] == [9]

    @pytest.mark.parametrize(
        "order",
        [
            kill("action", "api:export"),
            kill("action", "ap:*"),
            kill("action", "api:search:*"),
            kill("issuer", "iss_other"),
            kill("issuer", AGENT),
            kill("agent", AGENT, "iss_other"),
            kill("agent", PASSPORT),
            kill("agent", AGENT + "x"),
            kill("passport", AGENT),
            kill("passport", PASSPORT, "iss_other"),
        ],
    )
    def test_it_refuses_nothing_else(self, order: Kill) -> None:
        """An id is one of its kind, and one issuer's where the issuer is named."""
        scene = Scene(kills=(order,))
        assert said(scene.decide()) is None
        assert scene.explain().plan == scene.decide()

    def test_everything_is_also_what_nobody_presents(self) -> None:
        """Anonymous requests, also where the tier is off, and requests with a broken credential."""
        stopped = Scene(kills=(kill("all"),))
        for scene in (
            stopped.but(presents=False, anonymous=OPEN),
            stopped.but(presents=False),
            stopped.but(headers=((b"X-Agent-Passport", b"another"),)),
            stopped.but(claims={"sub": 7}),
        ):
            plan = scene.decide()
            assert said(plan) == ("killed", 503)
            assert plan.presented is (scene.presents or len(scene.headers) > 1)
            assert plan.refusal is not None
            assert plan.refusal.retry_after_s == 60

    def test_an_action_is_stopped_for_nobody_in_particular(self) -> None:
        """Anonymous requests for it are refused, and others pass."""
        scene = Scene(presents=False, anonymous=OPEN, kills=(kill("action", "api:search"),))
        assert said(scene.decide()) == ("killed", 403)
        assert said(scene.but(target=b"/public/x").decide()) is None

    def test_what_is_no_action_is_told_so_first(self) -> None:
        """Check 2 comes before the switch."""
        assert said(Scene(target=b"/v2", kills=(kill("all"),)).decide()) == ("action_unknown", 404)

    @pytest.mark.parametrize("target", [b"/v1/Admin", b"/v1/admin/", b"/V1/ADMIN", b"/v1/%61dmin"])
    def test_no_spelling_of_a_path_gets_around_it(self, target: bytes) -> None:
        """An action made of method and path is stopped as a lenient upstream would read it."""
        scene = Scene(
            target=target,
            default_action="method_path",
            claims={"permissions": ["*"]},
            kills=(kill("action", "get:/v1/admin"),),
        )
        assert said(scene.decide()) == ("killed", 403)

    def test_a_bad_credential_learns_nothing_of_who_is_stopped(self) -> None:
        """Whose passport does not verify hears of that alone."""
        scene = Scene(kills=(kill("agent", AGENT),)).but(jose={"kid": "key-9"})
        assert said(scene.decide()) == ("key_unknown", 401)

    def test_it_comes_before_the_catalog_and_the_permission(self) -> None:
        """Check 9 is before 12 and 13."""
        scene = Scene(kills=(kill("agent", AGENT),), catalog=catalog("api:other"))
        assert said(scene.decide()) == ("killed", 403)

    def test_many_are_no_slower_to_be_found(self) -> None:
        """Ten thousand agents are stopped; this one with them, another one not."""
        many = [kill("agent", f"agent-{number}", number=number) for number in range(10_000)]
        trust = Scene().trust()
        stopped = Trust(trust.issuers, kills=kills(*many))
        plan = decide(Scene().good_request(), Scene().policy(), stopped, NOW)
        assert said(plan) == ("killed", 403)
        assert kills(*many).judge_links([Link("iss_lab", "agent-10000", "p")]) is None


class TestChains:
    """A delegated passport is stopped where any of its links is."""

    LINKS = (Link("iss_a", "root", "p1"), Link("iss_a", "root/child", "p2"))

    @pytest.mark.parametrize(
        "order",
        [
            kill("agent", "root"),
            kill("agent", "root/child"),
            kill("passport", "p1"),
            kill("passport", "p2", "iss_a"),
            kill("issuer", "iss_a"),
        ],
    )
    def test_any_link_stops_it(self, order: Kill) -> None:
        refusal = kills(order).judge_links(self.LINKS)
        assert refusal is not None
        assert refusal.code == "killed"

    def test_another_chain_goes_on(self) -> None:
        assert kills(kill("agent", "child"), kill("passport", "p")).judge_links(self.LINKS) is None


class TestOrders:
    """What cannot be carried out as it is written is no order."""

    @pytest.mark.parametrize(
        ("kind", "target", "issuer", "reason"),
        [
            ("agents", "a", "", ""),
            ("", "", "", ""),
            ("all", "a", "", ""),
            ("all", "", "iss_a", ""),
            ("agent", "", "", ""),
            ("agent", "a\n", "", ""),
            ("agent", "a" * 257, "", ""),
            ("agent", "a", "b\x00", ""),
            ("agent", "a", "b" * 257, ""),
            ("action", "a:b", "iss_a", ""),
            ("issuer", "iss_a", "iss_a", ""),
            ("action", "*", "", ""),
            ("action", "a*", "", ""),
            ("action", ":*", "", ""),
            ("action", "a:*:b", "", ""),
            ("passport", "\ud800", "", ""),
            ("agent", "a", "", "because\nof"),
            ("agent", "a", "", "x" * (MAX_REASON + 1)),
        ],
    )
    def test_it_is_refused(self, kind: str, target: str, issuer: str, reason: str) -> None:
        with pytest.raises(ValueError, match=r"must|takes|stopped by|is its whole|can be named"):
            check_order(kind, target, issuer, reason)
        with pytest.raises(ValueError, match=r"must|takes|stopped by|is its whole|can be named"):
            kills_of([Kill("kill_0", kind, target, issuer, reason, "ann", 0)])

    @pytest.mark.parametrize(
        "order",
        [
            ("all", "", "", "night"),
            ("agent", "root/child é", "iss_a", ""),
            ("action", "get:/v1/x", "", "x" * MAX_REASON),
        ],
    )
    def test_it_is_good(self, order: tuple[str, str, str, str]) -> None:
        check_order(*order)


def test_nothing_is_stopped_by_nothing() -> None:
    """The value that every gate begins with."""
    nothing: Any = NO_KILLS
    assert not nothing.active
    assert nothing.entries == ()
    assert nothing.judge_action("api:search") is None
    assert nothing.judge_everything() is None
    assert kills(kill("all")).judge_everything() == kills(kill("all")).judge_action("a")
    assert nothing.judge_links([Link("iss_lab", AGENT, PASSPORT)]) is None


def test_two_orders_stop_the_same_whatever_else_they_say() -> None:
    """What tells them apart is what they stop, not who ordered it, when, or why."""
    assert kill("agent", "a", number=1).stops == kill("agent", "a", number=2).stops
    assert kill("agent", "a").stops != kill("agent", "a", "iss_lab").stops
