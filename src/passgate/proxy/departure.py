"""Departure: the request's head as the upstream gets it, and what the gate adds to the answer."""

from typing import TYPE_CHECKING

from passgate.core.decision import Plan
from passgate.core.instant import Instant
from passgate.core.request import Request
from passgate.ledger.protocol import Reservation
from passgate.proxy.allowance import allowance_lines
from passgate.proxy.forwarding import anonymous_lines, hop_lines, identity_lines
from passgate.proxy.refusals import nonce_line
from passgate.proxy.remembering import count
from passgate.proxy.rewriting import without_digests
from passgate.proxy.steps import Forward
from passgate.proxy.world import World
from passgate.record import Record

if TYPE_CHECKING:
    from passgate.proxy.enforcer import Enforcer


def depart(
    enforcer: "Enforcer",
    record: Record,
    request: Request,
    plan: Plan,
    now: Instant,
    world: World,
    reservation: Reservation | None,
    lines: bytes,
) -> Forward:
    """What is forwarded of an allowed request, and the lines that the answer will carry.

    `lines` are further ones for the answer, each ending in CRLF. The request counts in the paces
    that are watched from here on.
    """
    passport = plan.passport
    decision_id = record.decision_id.encode()
    answer_lines = b"Passport-Decision: allow\r\nPassport-Decision-Id: " + decision_id + b"\r\n"
    if passport is None:
        identity = anonymous_lines(plan.action)
        answer_lines += world.surface.upgrade_lines
    else:
        identity = identity_lines(passport, record.tier, plan.action)
    audience = world.assertion_audience
    if audience is not None:
        identity += enforcer.assertions.line(request, record, audience)
    if plan.proven is not None:
        answer_lines += _next_nonce(world, now)
    answer_lines += lines
    if reservation is not None:
        answer_lines += allowance_lines(enforcer.ledger.left(reservation))
    if plan.watches:
        count(plan, enforcer.paces, now)
    sorted_headers = request.sorted
    forward_lines = sorted_headers.forward
    if plan.findings and plan.findings[0].body is not None:
        forward_lines = without_digests(forward_lines)
    head = b"".join(
        (
            request.method.encode(),
            b" ",
            request.target,
            b" HTTP/1.1\r\nHost: ",
            sorted_headers.host or b"",
            b"\r\n",
            forward_lines,
            identity,
            b"X-Passport-Decision-Id: ",
            decision_id,
            b"\r\n",
            hop_lines(request),
        )
    )
    return Forward(
        head,
        answer_lines,
        record,
        request.body,
        reservation,
        now.boot,
        record.enforced,
        plan.route is not None and plan.route.cost_from_upstream,
        plan.bounds,
    )


def _next_nonce(world: World, now: Instant) -> bytes:
    """The nonce for the agent's next proof, where proofs must have one."""
    rules = world.policy.proof
    if rules.nonces is None or not rules.nonce_required:
        return b""
    return nonce_line(rules.nonces.current(now))
