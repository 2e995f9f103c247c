"""The gate's own endpoints: what they tell, to whom, and that they charge nothing."""

import base64
from pathlib import Path
from typing import Any

import pytest
from nacl.bindings import crypto_sign_open
from tests.support.house import PEER, PREFIX, House, body_of, headers_of, inside

from passgate import __version__
from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.jwks import thumbprint
from passgate.core.once import Once
from passgate.core.reasons import REASONS
from passgate.ledger.protocol import Unavailable
from passgate.log import NoteKey
from passgate.log.checkpoint import open_checkpoint
from passgate.proxy.steps import Answer, NeedBody

OPEN = {"anonymous": {"enabled": True, "allowed_actions": ["public"]}}
LIMITS = {"core:rate:max_per_minute": 2, "core:cost:max_cumulative": 100}


async def get(house: House, path: str, passport: str | None = None, **options: Any) -> Answer:
    return await house.answered("GET", PREFIX + path, passport, **options)


async def check(house: House, passport: str | None, **asked: Any) -> Any:
    """The body of a dry run's answer, which is always a 200."""
    import json

    answer = await house.answered(
        "POST", f"{PREFIX}/check", passport, body=json.dumps(asked).encode()
    )
    assert answer.status == 200, body_of(answer)
    return body_of(answer)


class TestRouting:
    """Which paths are the gate's."""

    @pytest.mark.parametrize("path", ["", "/"])
    def test_the_root_describes_the_gate(self, tmp_path: Path, path: str) -> None:
        """With what an agent must know before it presents anything."""

        async def work(house: House) -> None:
            answer = await get(house, path)
            assert headers_of(answer)["content-type"] == "application/json"
            assert headers_of(answer)["cache-control"] == "no-store"
            assert body_of(answer) == {
                "gate_id": "gate_test",
                "name": house.enforcer.world.name,
                "profile": "L2",
                "formats": ["jwt"],
                "proofs": ["dpop", "signature"],
                "anonymous": True,
                "version": __version__,
                "links": {
                    name: f"{PREFIX}/{name}"
                    for name in ("keys", "passport", "check", "checkpoint", "reasons")
                },
            }

        inside(tmp_path, work, **OPEN)

    @pytest.mark.parametrize("path", ["/nothing", "/keys/x", "/KEYS", "/check/y", "/key"])
    def test_what_is_no_endpoint_is_not_forwarded(self, tmp_path: Path, path: str) -> None:
        """404, whatever a passport permits and however wide the routes are."""

        async def work(house: House) -> None:
            answer = await get(house, path, house.mint())
            assert (answer.status, body_of(answer)["code"]) == (404, "action_unknown")

        inside(tmp_path, work, actions={"routes": [{"match": "ANY /**", "action": "all"}]})

    @pytest.mark.parametrize(
        ("method", "path", "allow"),
        [
            ("POST", "/keys", "GET, HEAD"),
            ("DELETE", "/passport", "GET, HEAD"),
            ("OPTIONS", "/", "GET, HEAD"),
            ("GET", "/check", "POST"),
            ("HEAD", "/check", "POST"),
        ],
    )
    def test_a_wrong_method_is_told_the_right_ones(
        self, tmp_path: Path, method: str, path: str, allow: str
    ) -> None:
        """405 with Allow (RFC 9110 section 15.5.6)."""

        async def work(house: House) -> None:
            answer = await house.answered(method, PREFIX + path)
            assert (answer.status, headers_of(answer)["allow"]) == (405, allow)
            assert body_of(answer)["status"] == 405

        inside(tmp_path, work)

    def test_head_is_get_without_the_body(self, tmp_path: Path) -> None:
        """The connection leaves the body out; its length is the same."""

        async def work(house: House) -> None:
            for path in ("/", "/keys", "/checkpoint", "/reasons", "/passport"):
                token = house.mint(passport_id="pass_1")
                head = await house.answered("HEAD", PREFIX + path, token)
                assert head == await get(house, path, token)

        inside(tmp_path, work)

    def test_another_prefix_moves_all_of_them(self, tmp_path: Path) -> None:
        """And leaves the usual one to the routes."""

        async def work(house: House) -> None:
            answer = await house.answered("GET", "/gate")
            assert body_of(answer)["links"]["keys"] == "/gate/keys"
            await house.forwarded("GET", f"{PREFIX}/keys", house.mint())
            await house.forwarded("GET", "/gateway", house.mint())

        inside(
            tmp_path,
            work,
            agent={"prefix": "/gate"},
            actions={"routes": [{"match": "ANY /**", "action": "all"}]},
        )

    def test_only_refusals_are_recorded(self, tmp_path: Path) -> None:
        """And no endpoint charges anything."""

        async def work(house: House) -> None:
            token = house.mint(constraints=LIMITS)
            for path in ("/", "/keys", "/checkpoint", "/reasons", "/passport"):
                assert (await get(house, path, token)).status == 200
            await check(house, token, action="api:export")
            await get(house, "/passport")
            await check(house, None, action="public")
            asked = {name.partition("|")[0] for name in house.ledger._by_name}
            assert asked == {"rate/60/checks"}
            assert f"rate/60/checks|address|{PEER}" in house.ledger._by_name

        house = inside(tmp_path, work)
        assert [line["reason_code"] for line in house.lines("decision")] == ["passport_missing"]


class TestKeys:
    """What the gate signs with."""

    def test_the_keys_verify_the_checkpoint(self, tmp_path: Path) -> None:
        """The newest note, by nothing but what the endpoints say."""

        async def work(house: House) -> None:
            await house.forwarded("GET", "/v1/search", house.mint())
            (jwk,) = body_of(await get(house, "/keys"))["keys"]
            answer = await get(house, "/checkpoint")
            public = base64.urlsafe_b64decode(jwk["x"] + "=")
            assert jwk["kid"] == thumbprint(public)
            assert "d" not in jwk
            note = answer.body.decode()
            text, _, signatures = note.partition("\n\n")
            signature = base64.b64decode(signatures.split(" ")[2])[4:]
            assert crypto_sign_open(signature + text.encode() + b"\n", public)
            found = open_checkpoint(note, NoteKey("passgate/gate_test", public))
            assert found.size == house.log.status().durable
            assert headers_of(answer)["content-type"] == "text/plain; charset=utf-8"

        inside(tmp_path, work)

    def test_every_reason_is_listed(self, tmp_path: Path) -> None:
        """As the table has it; `type` of each refusal points here."""

        async def work(house: House) -> None:
            rows = body_of(await get(house, "/reasons"))["reasons"]
            assert [row["code"] for row in rows] == list(REASONS)
            assert all(row["title"] and row["status"] >= 400 for row in rows)
            refused = await house.answered("GET", "/v1/search")
            assert body_of(refused)["type"] == f"{PREFIX}/reasons#passport_missing"

        inside(tmp_path, work)


class TestPassport:
    """What the gate makes of a passport, for its holder."""

    def test_it_shows_what_is_left(self, tmp_path: Path) -> None:
        """Of each counter, before and after a request."""

        async def work(house: House) -> None:
            token = house.mint(
                agent="a1", passport_id="pass_1", permissions=["api:*"], constraints=LIMITS
            )
            await house.forwarded("POST", "/v1/export", token)
            body = body_of(await get(house, "/passport", token))
            assert body["id"] == "pass_1"
            assert body["agent"] == "a1"
            assert body["issuer"] == house.issuer.id
            assert body["tier"] == "L2"
            assert body["expires_at"] == house.clock.wall + 3600
            assert body["permissions"] == ["api:*"]
            assert list(body["actions"]) == ["api:search", "api:export"]
            rate, spend = body["actions"]["api:export"]["left"]
            assert (rate["kind"], rate["remaining"], rate["limit"]) == ("rate", 1, 2)
            assert (spend["kind"], spend["remaining"], spend["limit"]) == ("spend", 50, 100)
            assert spend["window"] == "daily"

        inside(tmp_path, work)

    def test_it_leaves_out_what_would_be_refused_in_any_case(self, tmp_path: Path) -> None:
        """By the catalog, by its tier, or by a grant."""
        (tmp_path / "catalog.json").write_text(
            '{"permissions": [{"key": "api:search"}, {"key": "api:export", "min_trust_tier": "L3"},'
            ' {"key": "public"}, {"key": "users:get"}]}'
        )

        async def work(house: House) -> None:
            grants = [{"resource": "users", "allowedActions": ["list"]}]
            token = house.mint(claims={"grants": grants})
            body = body_of(await get(house, "/passport", token))
            assert list(body["actions"]) == ["api:search", "public"]
            for method, target in (("POST", "/v1/export"), ("GET", "/v1/users/1")):
                assert (await house.answered(method, target, token)).status == 403

        inside(tmp_path, work, catalog={"file": "catalog.json"})

    @pytest.mark.parametrize(
        ("token", "code"),
        [
            (None, "passport_missing"),
            ("x.y.z", "passport_malformed"),
            ({"ttl_s": -60}, "passport_expired"),
            ({"claims": {"aud": "gate_other"}}, "audience_mismatch"),
            ({"header": {"kid": "other"}}, "key_unknown"),
            ({"claims": {"iss": "iss_other"}}, "issuer_unknown"),
        ],
    )
    def test_nobody_else_learns_anything(self, tmp_path: Path, token: Any, code: str) -> None:
        """A credential that does not verify is told why, and nothing more."""

        async def work(house: House) -> None:
            presented = house.mint(**token) if isinstance(token, dict) else token
            answer = await get(house, "/passport", presented)
            assert (answer.status, body_of(answer)["code"]) == (401, code)
            assert not {"actions", "agent", "permissions"} & body_of(answer).keys()

        inside(tmp_path, work)

    def test_a_second_credential_is_ambiguous_here_too(self, tmp_path: Path) -> None:
        """As everywhere."""

        async def work(house: House) -> None:
            answer = await get(
                house, "/passport", house.mint(), headers=(("X-Agent-Passport", "x"),)
            )
            assert body_of(answer)["code"] == "passport_ambiguous"

        inside(tmp_path, work)


class TestCheck:
    """Dry runs."""

    def test_an_allowed_question_shows_every_check(self, tmp_path: Path) -> None:
        """With what it would cost, and that the counters have room; only the upstream is open."""

        async def work(house: House) -> None:
            body = await check(house, house.mint(constraints=LIMITS), action="api:export")
            assert (body["decision"], body["action"], body["cost_cents"]) == (
                "allow",
                "api:export",
                50,
            )
            assert "code" not in body
            assert [row["check"] for row in body["checks"]] == list(range(1, 18))
            assert [row["outcome"] for row in body["checks"]] == ["ok"] * 16 + ["open"]

        inside(tmp_path, work)

    def test_a_refused_question_shows_all_that_is_wrong(self, tmp_path: Path) -> None:
        """The first refusal is the answer's own code."""

        async def work(house: House) -> None:
            token = house.mint(
                constraints={"core:scope:method_allowlist": ["GET"], "core:no:such": 1}
            )
            body = await check(house, token, action="api:export")
            assert (body["decision"], body["code"], body["constraint"]) == (
                "block",
                "constraint_unknown",
                "core:no:such",
            )
            refused = [row for row in body["checks"] if row["outcome"] == "refused"]
            assert [(row["check"], row["constraint"]) for row in refused] == [
                (14, "core:no:such"),
                (14, "core:scope:method_allowlist"),
            ]
            assert body["checks"][-2]["outcome"] == "open"

        inside(tmp_path, work)

    def test_a_question_takes_nothing(self, tmp_path: Path) -> None:
        """However often it is asked, the request it asks about still passes, once."""

        async def work(house: House) -> None:
            token = house.mint(constraints={"core:rate:max_per_minute": 1})
            for _ in range(5):
                assert (await check(house, token, action="api:search"))["decision"] == "allow"
            await house.forwarded("GET", "/v1/search", token)
            body = await check(house, token, action="api:search")
            assert (body["code"], body["constraint"]) == (
                "rate_limited",
                "core:rate:max_per_minute",
            )
            (row,) = [row for row in body["checks"] if row["check"] == 16]
            assert (row["outcome"], row["code"]) == ("refused", "rate_limited")
            assert house.tally.checks == 6

        inside(tmp_path, work)

    def test_a_hold_goes_before_an_empty_counter(self, tmp_path: Path) -> None:
        """As it would: what a person has not approved reserves nothing."""

        async def work(house: House) -> None:
            limits = {"core:approval:required": True, "core:rate:max_per_minute": 0}
            token = house.mint(constraints=limits)
            body = await check(house, token, action="api:search")
            assert (body["decision"], body["code"]) == ("request_hold", "approval_required")
            assert body["constraint"] == "core:approval:required"
            answer = await house.answered("GET", "/v1/search", token)
            assert body_of(answer)["code"] == "approval_required"

        inside(tmp_path, work)

    def test_an_action_that_no_request_can_be_is_unknown(self, tmp_path: Path) -> None:
        """Whatever the passport permits."""

        async def work(house: House) -> None:
            body = await check(house, house.mint(), action="no:such")
            assert (body["decision"], body["code"]) == ("block", "action_unknown")

        inside(tmp_path, work)

    def test_anybody_may_ask_about_anonymous_requests(self, tmp_path: Path) -> None:
        """And learns what the tier has left for this address."""

        async def work(house: House) -> None:
            assert (await check(house, None, action="public"))["decision"] == "allow"
            assert (await check(house, None, action="api:search"))["code"] == "passport_missing"
            await house.forwarded("GET", "/public/x")
            assert (await check(house, None, action="public"))["code"] == "rate_limited"

        config = {**OPEN["anonymous"], "rate_limit_per_minute": 1}
        inside(tmp_path, work, anonymous=config)

    @pytest.mark.parametrize("token", ["x.y.z", {"ttl_s": -60}, {"header": {"kid": "other"}}])
    def test_a_credential_that_does_not_verify_learns_that_alone(
        self, tmp_path: Path, token: Any
    ) -> None:
        """Before its question is even read."""

        async def work(house: House) -> None:
            presented = house.mint(**token) if isinstance(token, dict) else token
            _, step, _ = house.begin(house.wire("POST", f"{PREFIX}/check", presented))
            assert isinstance(step, Answer)
            assert step.status == 401
            assert "checks" not in body_of(step)

        inside(tmp_path, work)

    def test_a_passport_revoked_while_asking_learns_nothing(self, tmp_path: Path) -> None:
        """The credential is judged again once the question is there."""

        async def work(house: House) -> None:
            headers = (("Content-Type", "application/json"),)
            case, step, _ = house.begin(
                house.wire("POST", f"{PREFIX}/check", house.mint(ttl_s=60), headers=headers)
            )
            assert isinstance(step, NeedBody)
            house.clock.advance(100)
            answer = case.with_body(b'{"action": "api:search"}')
            assert isinstance(answer, Answer)
            assert body_of(answer)["code"] == "passport_expired"

        inside(tmp_path, work)

    def test_a_question_that_is_none_is_malformed(self, tmp_path: Path) -> None:
        """With a passport or without."""

        async def work(house: House) -> None:
            answer = await house.answered("POST", f"{PREFIX}/check", body=b"{}")
            assert (answer.status, body_of(answer)["code"]) == (400, "request_malformed")

        inside(tmp_path, work)

    def test_a_question_is_short(self, tmp_path: Path) -> None:
        """Anybody may send one."""

        async def work(house: House) -> None:
            case, step, _ = house.begin(house.wire("POST", f"{PREFIX}/check"))
            assert step == NeedBody(16 * 1024)
            assert case.body_too_large().status == 413

        inside(tmp_path, work)

    def test_questions_are_limited_before_they_are_read(self, tmp_path: Path) -> None:
        """429 with Retry-After: per address for whoever presents nothing, else per passport."""

        async def work(house: House) -> None:
            def ask(token: str | None, peer: str = PEER) -> Answer | NeedBody:
                wire = house.wire("POST", f"{PREFIX}/check", token, peer=peer)
                step = house.begin(wire)[1]
                assert isinstance(step, Answer | NeedBody)
                return step

            holder, other = house.mint(), house.mint()
            for token in (None, holder):
                for _ in range(120):
                    assert isinstance(ask(token), NeedBody)
                refused = ask(token)
                assert isinstance(refused, Answer)
                assert (refused.status, body_of(refused)["code"]) == (429, "rate_limited")
                assert 0 < int(headers_of(refused)["retry-after"]) <= 61
            assert isinstance(ask(holder, "192.0.2.9"), Answer)
            assert isinstance(ask(None, "192.0.2.9"), NeedBody)
            assert isinstance(ask(other), NeedBody)
            assert (await get(house, "/passport", holder)).status == 429
            assert (await get(house, "/passport", other)).status == 200
            house.clock.advance(61)
            assert isinstance(ask(holder), NeedBody)
            assert isinstance(ask(None), NeedBody)

        inside(tmp_path, work)

    def test_questions_are_refused_where_nothing_can_be_counted(self, tmp_path: Path) -> None:
        """As requests are."""

        class Lost:
            def reserve(
                self, charges: tuple[Charge, ...], now: Instant, once: Once | None = None
            ) -> Unavailable:
                return Unavailable(charges[0])

        async def work(house: House) -> None:
            house.enforcer.ledger = Lost()
            answer = await house.answered("POST", f"{PREFIX}/check", house.mint())
            assert (answer.status, body_of(answer)["code"]) == (503, "ledger_unavailable")

        inside(tmp_path, work)


QUESTIONS = [
    ({"action": "api:search"}, ("GET", "/v1/search", None)),
    ({"action": "api:export"}, ("POST", "/v1/export", None)),
    ({"action": "shop:order", "amount": "5"}, ("POST", "/v1/orders", b'{"amount": 5}')),
    ({"action": "shop:order", "amount": "9"}, ("POST", "/v1/orders", b'{"amount": 9}')),
    ({"action": "users:get", "target": "/v1/users/7"}, ("GET", "/v1/users/7", None)),
    ({"action": "public", "target": "/public/x"}, ("GET", "/public/x", None)),
]
HOLDERS: list[dict[str, Any] | None] = [
    None,
    {},
    {"permissions": ["api:*"]},
    {"constraints": {"core:cost:max_cumulative": 49}},
    {"constraints": {"core:cost:approval_threshold": 49}},
    {"constraints": {"core:scope:method_allowlist": ["GET"]}},
    {"constraints": {"core:scope:path_blocklist": ["/v1/users/7"]}},
    {"constraints": {"core:rate:max_per_minute": 0}},
    {"claims": {"grants": [{"resource": "shop", "maxAmount": 7}]}},
    {"claims": {"grants": [{"resource": "api", "requiresApproval": True}]}},
]


def test_an_answer_is_what_then_really_happens(tmp_path: Path) -> None:
    """Each question of each holder, and then the request itself."""

    async def work(house: House) -> None:
        seen = set()
        for holder in HOLDERS:
            for asked, (method, target, body) in QUESTIONS:
                token = None if holder is None else house.mint(**holder)
                said = await check(house, token, **asked)
                step = await house.ask(method, target, token, body=body)
                really = body_of(step) if isinstance(step, Answer) else {"decision": "allow"}
                assert said["decision"] == really["decision"], (holder, asked)
                assert said.get("code") == really.get("code"), (holder, asked)
                assert said.get("constraint") == really.get("constraint"), (holder, asked)
                seen.add(said.get("code", "allow"))
        assert seen == {
            "allow",
            "passport_missing",
            "permission_denied",
            "budget_exhausted",
            "approval_required",
            "constraint_violated",
            "rate_limited",
        }

    inside(tmp_path, work, **OPEN)
