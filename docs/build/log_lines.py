"""Writes docs/reference/log-lines.md: the fields of every kind, and lines that a real log wrote."""

import asyncio
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from nacl.bindings import crypto_sign_seed_keypair

from passgate.core.constraints.base import Charge
from passgate.core.passport import Passport
from passgate.core.trust import Trust
from passgate.core.verification import Acceptance, verify
from passgate.log import FloodGate, GateKey, Log, LogSettings, open_log
from passgate.record import Record
from passgate.testing import ManualClock, TestIssuer

PAGE = Path(__file__).parents[1] / "reference" / "log-lines.md"

HEAD = """\
# Log lines

Each line of the log is one JSON object in the canonical form of RFC 8785.
[The log](../concepts/log.md) says how lines are signed, [Verify the log](../how-to/verify-the-log.md) how to check and search them.

Absent values are left out. All numbers are integers; one beyond 2^53 - 1 is the text of its digits.
The examples are lines that a log wrote, with every value made up but its form.

Every line but a `checkpoint` has `kind`, `seq` (its number, from 0), `time` (RFC 3339 in UTC, with milliseconds) and `v` (1), and where a trust bundle is in force `bundle`, its version.
A field in *italics* is left out where it has no value.

The copy on standard output (`audit.stdout`) leaves lines out when its reader is too slow; a line of kind `suppressed` with `reason` `stdout_slow` then has their `count`. The log itself has them all.
"""


class Field(NamedTuple):
    """A member of a line; `always` says that no line of the kind is without it."""

    name: str
    kind: str
    says: str
    always: bool = True


class Kind(NamedTuple):
    """A kind of line: what it records, and its members besides those of every line."""

    name: str
    says: str
    fields: tuple[Field, ...]


_GATE = Field("gate_id", "text", "`gate.id`.")

_OF_A_HOLD = (
    Field("action", "text", "The action that the request is.", always=False),
    Field("agent_id", "text", "Whose request it is.", always=False),
    Field("cost_cents", "integer", "What it costs.", always=False),
    Field("decision_id", "text", "That of the request that opened it.", always=False),
    _GATE,
    Field("hold_id", "text", "`appr_` and a ULID; refusals carry it too."),
    Field("issuer", "text", "`iss` of its passport.", always=False),
    Field("method", "text", "The method.", always=False),
    Field("passport_id", "text", "`jti` of its passport.", always=False),
    Field("target", "text", "The judged path, redacted as its route says.", always=False),
)

KINDS = (
    Kind(
        "decision",
        "What was decided about one request, and why. It stands before its request is forwarded.",
        (
            Field(
                "access_mode",
                "text",
                "`passport`; `anonymous` where none was presented; `none` where what was presented is no passport of a known key, or the request could not be read.",
            ),
            Field("action", "text", "The action that the request is.", always=False),
            Field("agent_id", "text", "`sub` of the verified passport.", always=False),
            Field(
                "chain", "list", "The ids of the passport's ancestors, root first.", always=False
            ),
            Field("catalog", "text", "The hash of the catalog in force.", always=False),
            Field(
                "catalog_version",
                "integer",
                "Its version; 0 where it is served from its file, unpublished.",
                always=False,
            ),
            Field(
                "charges",
                "list of `{amount, counter}`",
                "What it takes from which counter; where it is refused, what it would have taken.",
                always=False,
            ),
            Field("client", "text", "The client's address, or `unix`."),
            Field("constraint", "text", "The constraint that refused or held it.", always=False),
            Field(
                "constraints",
                "list of `[key, result]`",
                "The constraints that were evaluated, in their order; the result is `allow`, `block`, `hold`, `charge`, `watch` (a pace, not exceeded), `note` or `redact` (personal data, see `facts`), `bound` (counted while a body streams) or `term`.",
                always=False,
            ),
            Field("cost_cents", "integer", "What it costs by its route or the catalog."),
            Field("decision", "text", "`allow`, `block` or `request_hold`."),
            Field("decision_id", "text", "`att_` and a ULID; the answer carries it too."),
            Field("enforced", "true or false", "Whether the gate acts on it."),
            Field(
                "facts",
                "object",
                "What the route declares and was read: `route`, `amount`, `currency`, `vendor`, `resource`, `domain`, `content_type`, `body_bytes`; where the catalog states a platform fee, `platform_fee_cents` on `cost_cents` and `platform_fee_recipient`; `hold` and `approver`, where a person had to decide; `client_certificate`, the name in the verified certificate of the connection's client; `terms`, the hash of the catalog whose terms count, where the passport is pinned to an older one; `principal` and `assurance`, the person whom the agent acts for and the levels that are known of them, where the passport says so; `personal_data`, what a body held that was noted or hidden, by kind and number.",
                always=False,
            ),
            _GATE,
            Field(
                "idempotency",
                "object",
                "With a key on a route that is `idempotent`: `name`, the agent and a hash of the key; `digest`, a hash of the request; `repeated`, true where an earlier line has the charge. `cost_cents` is owed once, and one outcome of these requests has `settled_cents`: the first that was sent and ended.",
                always=False,
            ),
            Field("issuer", "text", "`iss` of the verified passport.", always=False),
            Field("method", "text", "The method; empty where the request could not be read."),
            Field(
                "passport_hash",
                "text",
                "SHA-256 of the credential in hex, also of one that was refused; of a csp token with parents, of the token, the byte 0x1E, and the parents with commas between.",
                always=False,
            ),
            Field("passport_id", "text", "`jti` of the verified passport.", always=False),
            Field(
                "policy",
                "text",
                "The hash of the policy that it was judged by; see `config`.",
                always=False,
            ),
            Field(
                "query",
                "text",
                "HMAC-SHA-256 of the query under a key of the gate, in hex.",
                always=False,
            ),
            Field("reason_code", "text", "Why it was not allowed.", always=False),
            Field("target", "text", "The judged path, redacted as its route says."),
            Field("tier", "text", "The tier of the issuer.", always=False),
            Field("trace_id", "text", "The trace of a valid `traceparent`.", always=False),
            Field("trust_age_s", "integer", "How old the knowledge of the issuer was, in seconds."),
        ),
    ),
    Kind(
        "outcome",
        "What became of a request that was allowed.",
        (
            Field(
                "bytes",
                "integer",
                "Bytes of the answer's body that were passed on; after a 101, all to the client.",
            ),
            Field(
                "bytes_in",
                "integer",
                "Bytes of the request's body that were passed on, if any; after a 101, all from the client.",
                always=False,
            ),
            Field(
                "cost_correction",
                "text",
                "What became of the upstream's word on the cost: `applied`; `clamped` (above what was reserved), `malformed` (not digits, or not once) or `ignored` (in an answer of 5xx, or one that was not whole), which leave the cost as it was.",
                always=False,
            ),
            Field("decision_id", "text", "That of the decision."),
            Field(
                "minutes",
                "integer",
                "How many minutes had begun, where it is priced by the minute.",
                always=False,
            ),
            Field("ms", "integer", "Milliseconds from the decision to the end."),
            Field(
                "outcome",
                "text",
                "`completed` (the answer came whole from the upstream, and its last byte was written for the client: over HTTP/1.1 to the socket's buffers, over HTTP/2 within the windows that the client has opened); `upstream_failed`; `client_gone` (it left, took back its request, broke the protocol, or did not take the answer in time); `cut` (passport expired or revoked, an idle tunnel, a rest of the request that was malformed, too large or too slow, which has a `block` line of its own, or the gate ended); `refused` (the log could not be written).",
            ),
            Field(
                "reason_code",
                "text",
                "Of `cut`, what the next minute lacked: `budget_exhausted`, or another reason of check 14, 15 or 16. Of `upstream_failed`, why: `upstream_unreachable`, `upstream_bad_response`, `upgrade_unsupported`, `upstream_timeout` or `overloaded`. The client was told it, unless the answer had begun; a tunnel has none.",
                always=False,
            ),
            Field(
                "platform_fee_cents",
                "integer",
                "The platform's fee on `settled_cents`, where the catalog states one.",
                always=False,
            ),
            Field("released", "true or false", "Whether its charges were given back."),
            Field(
                "settled_cents",
                "integer",
                "What it cost in the end, where it was sent upstream and cost or charged anything.",
                always=False,
            ),
            Field(
                "status",
                "integer",
                "The status of the answer; 499 for a client that was gone before it, 0 where the gate cut before it.",
            ),
        ),
    ),
    Kind(
        "charge",
        "A further minute of a request that is priced by the minute, charged up to two seconds before it begins. One that did not begin is given back with the outcome.",
        (
            Field("charges", "list of `{amount, counter}`", "What it takes from which counter."),
            Field("decision_id", "text", "That of the decision."),
            _GATE,
            Field("minute", "integer", "Its number; the first is charged by the decision."),
        ),
    ),
    Kind(
        "hold",
        "A request began to wait for a person, or the hold is over, or was found again by a start.",
        (
            *_OF_A_HOLD,
            Field("approver", "text", "Found again: who has approved it before.", always=False),
            Field(
                "charges",
                "list of `{amount, counter}`",
                "What is reserved for it from here on, in the place of what was.",
                always=False,
            ),
            Field("constraint", "text", "The constraint that holds it.", always=False),
            Field("decision", "text", "`request_hold`, where it opens.", always=False),
            Field("expires_at", "integer", "When it is denied by itself.", always=False),
            Field("released", "true or false", "What was reserved is given back.", always=False),
            Field("restored", "true or false", "A start found it in the book.", always=False),
            Field(
                "state",
                "text",
                "`pending`; `approved`; `used`; `lapsed`, its approval was not used in time; `failed`, it could not be put on disk; `lost`, a start found it reserved and not in the book.",
            ),
        ),
    ),
    Kind(
        "approval",
        "Somebody decided about a hold, or time did. It stands before the request that it lets pass.",
        (
            *_OF_A_HOLD,
            Field(
                "approver",
                "text",
                "Who decided: the name of an admin token; none where nobody did in time.",
                always=False,
            ),
            Field("decision", "text", "`approved` or `denied`."),
            Field("reason", "text", "Why.", always=False),
            Field("released", "true or false", "What was reserved is given back.", always=False),
        ),
    ),
    Kind(
        "passport",
        "A passport's claims, without its signature, before the first decision about it in each file.",
        (
            Field("agent_id", "text", "`sub`."),
            Field("claims", "object", "The signed claims; fractions are texts."),
            Field("issuer", "text", "`iss`."),
            Field("passport_hash", "text", "SHA-256 of the credential in hex."),
            Field("passport_id", "text", "`jti`."),
        ),
    ),
    Kind(
        "start",
        "A gate opened the log.",
        (
            Field("clean", "true or false", "Whether the run before ended with its `stop`."),
            Field("durability", "text", "`strict` or `relaxed`."),
            _GATE,
            Field("version", "text", "The version of passgate."),
        ),
    ),
    Kind("stop", "A gate closed the log.", (_GATE,)),
    Kind(
        "config",
        "A configuration or a version of the catalog came into force, at start or by a reload.",
        (
            Field("catalog", "text", "The hash of the catalog in force.", always=False),
            Field("catalog_version", "integer", "Its version.", always=False),
            _GATE,
            Field("policy", "text", "The hash of its policy."),
        ),
    ),
    Kind(
        "trust",
        "What the gate knows of an issuer changed, or what the operator has stopped.",
        (
            _GATE,
            Field(
                "by",
                "text",
                "Who turned the kill switch: the name of an admin token.",
                always=False,
            ),
            Field(
                "in_force",
                "integer",
                "With `kills`: how many were in force at the start.",
                always=False,
            ),
            Field(
                "issuer",
                "text",
                "With `keys` and `revocations` the issuer; empty where a reload set the list of issuers.",
                always=False,
            ),
            Field("kill", "text", "With `kill` and `unkill`: its id.", always=False),
            Field("reason", "text", "Why it was ordered.", always=False),
            Field(
                "stops",
                "object",
                "What it stops: `kind`, `target`, and `issuer` where it is of one issuer alone.",
                always=False,
            ),
            Field(
                "version",
                "integer",
                "The number of the gate's knowledge since its start.",
                always=False,
            ),
            Field(
                "what",
                "text",
                "`keys`, `revocations` or `issuers`; `kill`, `unkill`, and `kills` at a start under some.",
            ),
        ),
    ),
    Kind(
        "suppressed",
        "Answers of a flood that have no lines of their own.",
        (
            Field("client", "text", "The address, an IPv6 /64, or `others`."),
            Field("count", "integer", "How many there were."),
            _GATE,
            Field("reason_code", "text", "What they were answered."),
        ),
    ),
    Kind(
        "gap",
        "Something is missing before this line.",
        (
            Field("cut_bytes", "integer", "`crash`: bytes of a torn line, removed.", always=False),
            Field("error", "text", "`write_failed`: what the system said.", always=False),
            _GATE,
            Field("reason", "text", "`crash` or `write_failed`."),
            Field("seconds", "integer", "`write_failed`: for how long.", always=False),
            Field(
                "uncovered",
                "integer",
                "`crash`: whole lines that no checkpoint of the run before covers; they are kept.",
                always=False,
            ),
            Field(
                "unrecorded", "integer", "`write_failed`: decisions without a line.", always=False
            ),
        ),
    ),
    Kind(
        "checkpoint",
        "The signature over every line before it. It is no leaf of the tree, and has no `seq` or `time`.",
        (
            Field(
                "frontier",
                "list of text",
                "In the first line of a file: the tree's frontier, base64.",
                always=False,
            ),
            Field(
                "leaves",
                "text",
                "Elsewhere: three bytes of each new leaf's hash, base64.",
                always=False,
            ),
            Field("note", "text", "The C2SP signed note: origin, size, root, signature."),
        ),
    ),
)
"""Every kind of line that this version writes, with all of its members."""


def page() -> str:
    """The whole page."""
    examples = asyncio.run(_example_log())
    return "\n".join([HEAD, *(_section(kind, examples[kind.name]) for kind in KINDS)])


def _section(kind: Kind, example: str) -> str:
    rows = [
        f"| {f'`{field.name}`' if field.always else f'*`{field.name}`*'} | {field.kind} | {field.says} |"
        for field in kind.fields
    ]
    return "\n".join(
        [
            f"## `{kind.name}`",
            "",
            kind.says,
            "",
            "| field | value | says |",
            "|---|---|---|",
            *rows,
            "",
            "```json",
            example,
            "```",
            "",
        ]
    )


async def _example_log() -> dict[str, str]:
    """The first line of each kind in a log whose every key, id and moment is made up."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "log"
        query_key = Path(name) / "query.key"
        query_key.write_text("07" * 32 + "\n")
        query_key.chmod(0o600)
        clock = ManualClock(1_800_000_000.25)
        log = _open(directory, clock)
        await log.start()
        await _write_example(log, clock)
        await log.close()
        # As a crash leaves it that takes the last checkpoint: the line before it stays uncovered.
        (segment,) = directory.glob("*.jsonl")
        segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:-1]))
        (directory / "checkpoints").unlink()
        clock.advance(60)
        log = _open(directory, clock)
        await log.start()
        await log.close()
        found: dict[str, str] = {}
        for line in segment.read_text().splitlines():
            found.setdefault(json.loads(line)["kind"], line)
        return found


def _open(directory: Path, clock: ManualClock) -> Log:
    seed = hashlib.sha256(b"the key of a gate that is only in the documents").digest()
    signer = GateKey(crypto_sign_seed_keypair(seed)[0], seed)
    loop = asyncio.get_running_loop()
    return open_log(directory, "gate_my-api", LogSettings(), clock, signer, loop)


async def _write_example(log: Log, clock: ManualClock) -> None:
    issuer = TestIssuer("iss_lab")
    credential = issuer.mint(
        agent="agent_7",
        permissions=["api:*"],
        constraints={"core:rate:max_per_minute": 60},
        passport_id="pass_01KWFAKE000000000000000001",
        now=clock.wall,
    )
    passport = verify(credential, Trust({"iss_lab": issuer.trusted(clock())}), Acceptance())
    assert isinstance(passport, Passport)
    policy = hashlib.sha256(b"policy").hexdigest()
    log.append_event("trust", {"issuer": "iss_lab", "what": "keys", "version": 2})
    log.append_event("config", {"policy": policy})
    charge = Charge(
        f"rate/60/passport|iss_lab|{passport.id}", "rate", 60, 1, 60, "core:rate:max_per_minute"
    )
    record = Record(
        "att_01KWFAKE000000000000000002",
        clock(),
        "GET",
        "/v1/search",
        b"q=maps",
        "192.0.2.7",
        "allow",
        access_mode="passport",
        action="api:search",
        passport=passport,
        tier="L2",
        charges=(charge,),
        evaluated=(("core:rate:max_per_minute", "charge"),),
        policy=policy,
        trust_age_s=4,
        facts={"route": "GET /v1/search"},
    )
    await _durable(log, record)
    clock.advance(0.012)
    record.outcome, record.status, record.bytes_out, record.ms = "completed", 200, 5120, 12
    record.settled_cents = 0
    log.append_outcome(record)
    spend = f"spend/daily/passport|iss_lab|{passport.id}"
    log.append_event(
        "charge",
        {
            "charges": [{"amount": 2, "counter": spend}],
            "decision_id": record.decision_id,
            "minute": 2,
        },
    )
    held = {
        "action": "api:export",
        "agent_id": "agent_7",
        "cost_cents": 1500,
        "decision_id": "att_01KWFAKE000000000000000003",
        "hold_id": "appr_01KWFAKE000000000000000004",
        "issuer": "iss_lab",
        "method": "POST",
        "passport_id": passport.id,
        "target": "/v1/export",
    }
    log.append_event(
        "hold",
        {
            **held,
            "charges": [{"amount": 1500, "counter": spend}],
            "constraint": "core:cost:approval_threshold",
            "decision": "request_hold",
            "expires_at": int(clock().wall) + 300,
            "state": "pending",
        },
    )
    approval = {"approver": "ann", "decision": "approved", "reason": "ordered by phone"}
    log.append_event("approval", {**held, **approval})
    floods = FloodGate(1, log)
    floods.refused("192.0.2.9", clock())
    for _ in range(40):
        floods.over("192.0.2.9", clock())
    floods.flush()


async def _durable(log: Log, record: Record) -> None:
    written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    log.append_decision(record, written.set_result)
    assert await written


if __name__ == "__main__":
    if "--stdout" in sys.argv:
        print(page(), end="")
    else:
        PAGE.write_text(page())
