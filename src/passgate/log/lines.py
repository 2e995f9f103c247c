"""Renders what is known into log lines: RFC 8785 bytes, one line each, without the newline.

Field names are those of the contract's section 12; absent values are left out. Nothing that came
from outside can end a line or a string early: a line either consists of harmless characters with
exactly the quotes of its own template, or is rendered again by the general canonicalizer.
"""

import hmac
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from passgate.core.constraints.base import Charge
from passgate.core.generations import Generations
from passgate.core.newcomers import Newcomers
from passgate.core.passport import Passport
from passgate.core.pricing import fee_cents
from passgate.log.canonical import GREATEST_INT, canonical
from passgate.record import Record

VERSION: Final = 1
_WITH_REASON: Final = frozenset(("upstream_failed", "cut"))

KINDS: Final = frozenset(
    (
        *("decision", "outcome", "hold", "approval", "trust", "config", "passport"),
        *("charge", "suppressed", "checkpoint", "start", "stop", "gap"),
    )
)

# Everything that may stand raw in a canonical ASCII line, except the quote: deleting these bytes
# from a line leaves its quotes, and whatever is not harmless.
_HARMLESS: Final = bytes(c for c in range(0x20, 0x7F) if c not in b'"\\')
_QUOTES: Final = [b'"' * n for n in range(1024)]
_MILLIS: Final = [f".{n:03d}Z" for n in range(1000)]
_MOST_CACHED: Final = 4096
_MOST_PREPARED: Final = 6000  # of about a kilobyte each, in two generations
_LONGEST_CACHED_QUERY: Final = 256

# As `Passport.claims` reads them, which has refused whatever would be ambiguous.
_read_claims = msgspec.json.Decoder(float_hook=lambda digits: str(Decimal(digits))).decode
_sorted_members = msgspec.json.Encoder(order="sorted").encode


def stamp(wall: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds."""
    millis = int(wall * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000)) + _MILLIS[millis % 1000]


class _Prepared(NamedTuple):
    """The parts of a decision line that the same agent's next one has as well.

    They hold for records with this very `passport`, `charges` and `evaluated`, and with equal
    `facts` and `others`. The line they come from was proven, so they hold the template's quotes.
    """

    passport: Passport | None
    charges: tuple[Charge, ...]
    evaluated: tuple[tuple[str, str], ...]
    facts: dict[str, Any]
    others: tuple[Any, ...]
    to_client: str
    to_id: str
    to_method: str
    to_query: str
    to_seq: str
    to_time: str


class Lines:
    """Renders lines for one gate. Not for use by more than one thread."""

    def __init__(self, gate_id: str, query_key: bytes) -> None:
        self._gate = gate_id
        self._query_key = query_key
        self._second = -1
        self._second_text = ""
        self._evaluated: dict[tuple[tuple[str, str], ...], tuple[str, int]] = {}
        self._queries: Generations[bytes, str] = Generations(_MOST_CACHED)
        self._prepared: Generations[str, _Prepared] = Generations(_MOST_PREPARED)
        self._newcomers = Newcomers()
        self.bundle = 0  # the version in force, for lines that are of no request

    def decision(self, record: Record, seq: int) -> bytes:
        """The line of a decision."""
        # Speed: measured, f-strings joined once beat bytes joins, % and a dict through any encoder.
        # `quotes` counts the quotation marks of the template parts as they are chosen (4 for a
        # string member, 2 for a number), so that one pass over the finished line proves that no
        # value brought one in; see `_proven`. Members stand in the order RFC 8785 wants.
        if record.once is not None:
            return self._decision_slowly(record, seq)
        millis = int(record.at.wall * 1000)
        if millis // 1000 != self._second:
            self._turn(millis // 1000)
        others = (
            record.action,
            record.policy,
            record.decision,
            record.reason_code,
            record.constraint,
            record.access_mode,
            record.tier,
            record.catalog,
            record.catalog_version,
            record.cost_cents,
            record.enforced,
            record.bundle,
        )
        parts = self._prepared.find(record.passport_hash)
        if (
            parts is not None
            and parts.passport is record.passport
            and parts.charges is record.charges
            and parts.evaluated is record.evaluated
            and parts.facts == record.facts
            and parts.others == others
        ):
            line = self._filled(parts, record, seq, _MILLIS[millis % 1000])
            if line is not None:
                return line
        quotes = 46  # the nine strings and five other members that every decision has
        action = agent = bundle = catalog = chain = issuer = ids = policy = reason = tier = ""
        charges = constraint = results = facts = ""
        if record.action:
            action = f',"action":"{record.action}"'
            quotes += 4
        passport = record.passport
        if passport is not None:
            agent = f',"agent_id":"{passport.agent}"'
            issuer = f',"issuer":"{passport.issuer}"'
            ids = f',"passport_hash":"{passport.digest}","passport_id":"{passport.id}"'
            quotes += 16
            if passport.chain:
                for link in passport.chain:
                    chain += f',"{link.id}"'
                    quotes += 2
                chain = f',"chain":[{chain[1:]}]'
                quotes += 2
        elif record.passport_hash:
            ids = f',"passport_hash":"{record.passport_hash}"'
            quotes += 4
        if record.bundle:
            bundle = f',"bundle":{record.bundle}'
            quotes += 2
        if record.catalog:
            catalog = f',"catalog":"{record.catalog}","catalog_version":{record.catalog_version}'
            quotes += 6
        largest = record.cost_cents
        if record.charges:
            for charge in record.charges:
                amount = charge.amount
                if amount > largest:
                    largest = amount
                charges += f',{{"amount":{amount},"counter":"{charge.counter}"}}'
                quotes += 6
            charges = f',"charges":[{charges[1:]}]'
            quotes += 2
        if record.constraint:
            constraint = f',"constraint":"{record.constraint}"'
            quotes += 4
        if record.evaluated:
            known = self._evaluated.get(record.evaluated) or self._remember(record.evaluated)
            results = known[0]
            quotes += known[1]
        texts = True
        if record.facts:
            for name in sorted(record.facts):
                value = record.facts[name]
                if type(value) is str:
                    facts += f',"{name}":"{value}"'
                    quotes += 4
                elif type(value) is int:
                    if value > largest:
                        largest = value
                    facts += f',"{name}":{value}'
                    quotes += 2
                    texts = False
                else:
                    return self._decision_slowly(record, seq)
            facts = f',"facts":{{{facts[1:]}}}'
            quotes += 2
        if record.policy:
            policy = f',"policy":"{record.policy}"'
            quotes += 4
        if record.query:
            quotes += 4
        if record.reason_code:
            reason = f',"reason_code":"{record.reason_code}"'
            quotes += 4
        if record.tier:
            tier = f',"tier":"{record.tier}"'
            quotes += 4
        if record.trace_id:
            quotes += 4
        if largest > GREATEST_INT:
            return self._decision_slowly(record, seq)
        parts = _Prepared(
            passport,
            record.charges,
            record.evaluated,
            record.facts,
            others,
            f'{{"access_mode":"{record.access_mode}"{action}{agent}{bundle}{catalog}{chain}{charges},"client":"',
            f'"{constraint}{results},"cost_cents":{record.cost_cents}'
            f',"decision":"{record.decision}","decision_id":"',
            f'","enforced":{"true" if record.enforced else "false"}{facts}'
            f',"gate_id":"{self._gate}"{issuer},"kind":"decision","method":"',
            f'"{ids}{policy}',
            f'{reason},"seq":',
            f'"{tier},"time":"',
        )
        line = _proven(self._assembled(parts, record, seq, _MILLIS[millis % 1000]), quotes)
        if line is None:
            return self._decision_slowly(record, seq)
        # Numbers among the facts are mostly the request's own; texts are only equal to texts.
        if passport is not None and texts and self._newcomers.came(passport.digest):
            self._prepared.keep(passport.digest, parts)
        return line

    def _assembled(self, parts: _Prepared, record: Record, seq: int, millis: str) -> str:
        """A decision's line of its parts and of what every request has of its own."""
        query = f',"query":"{self._hidden(record.query)}"' if record.query else ""
        trace = f',"trace_id":"{record.trace_id}"' if record.trace_id else ""
        return (
            f"{parts.to_client}{record.client}{parts.to_id}{record.decision_id}{parts.to_method}"
            f"{record.method}{parts.to_query}{query}{parts.to_seq}{seq}"
            f',"target":"{record.target}{parts.to_time}{self._second_text}{millis}"{trace}'
            f',"trust_age_s":{record.trust_age_s},"v":1}}'
        )

    def _filled(self, parts: _Prepared, record: Record, seq: int, millis: str) -> bytes | None:
        """The line of proven parts, if all of the request's own is harmless, else None."""
        own = f"{record.client}{record.decision_id}{record.method}{record.target}{record.trace_id}"
        if not own.isascii() or own.encode().translate(None, _HARMLESS):
            return None
        return self._assembled(parts, record, seq, millis).encode()

    def outcome(self, record: Record, seq: int) -> bytes:
        """The line of what became of a request, at the time when it ended."""
        quotes = 28  # four strings and six other members
        bundle = settled = fee = corrected = ""
        if record.bundle:
            bundle = f'"bundle":{record.bundle},'
            quotes += 2
        if record.settled_cents is not None:
            settled = f',"settled_cents":{record.settled_cents}'
            quotes += 2
            if record.fee_basis_points:
                cents = fee_cents(record.settled_cents, record.fee_basis_points)
                fee = f',"platform_fee_cents":{cents}'
                quotes += 2
        if record.cost_correction:
            corrected = f',"cost_correction":"{record.cost_correction}"'
            quotes += 4
        reason = ""
        if record.outcome in _WITH_REASON and record.reason_code:
            reason = f',"reason_code":"{record.reason_code}"'
            quotes += 4
        minutes = ""
        if record.minutes:
            minutes = f',"minutes":{record.minutes}'
            quotes += 2
        received = ""
        if record.bytes_in:
            received = f',"bytes_in":{record.bytes_in}'
            quotes += 2
        millis = int(record.at.wall * 1000) + record.ms
        if millis // 1000 != self._second:
            self._turn(millis // 1000)
        moment = f"{self._second_text}{_MILLIS[millis % 1000]}"
        text = (
            f'{{{bundle}"bytes":{record.bytes_out}{received}{corrected}'
            f',"decision_id":"{record.decision_id}"'
            f',"kind":"outcome"{minutes},"ms":{record.ms}'
            f',"outcome":"{record.outcome}"{fee}{reason}'
            f',"released":{"true" if record.released else "false"},"seq":{seq}{settled}'
            f',"status":{record.status},"time":"{moment}","v":1}}'
        )
        if (record.settled_cents or 0) <= GREATEST_INT:
            line = _proven(text, quotes)
            if line is not None:
                return line
        members: dict[str, Any] = {
            "bytes": record.bytes_out,
            "decision_id": record.decision_id,
            "ms": record.ms,
            "outcome": record.outcome,
            "released": record.released,
            "status": record.status,
        }
        if reason:
            members["reason_code"] = record.reason_code
        if record.settled_cents is not None:
            members["settled_cents"] = record.settled_cents
            if record.fee_basis_points:
                cents = fee_cents(record.settled_cents, record.fee_basis_points)
                members["platform_fee_cents"] = cents
        if record.cost_correction:
            members["cost_correction"] = record.cost_correction
        if record.minutes:
            members["minutes"] = record.minutes
        if record.bundle:
            members["bundle"] = record.bundle
        if record.bytes_in:
            members["bytes_in"] = record.bytes_in
        return _general("outcome", seq, moment, members)

    def passport(self, passport: Passport, seq: int, wall: float) -> bytes:
        """The line that keeps a passport's claims, without its signature, for replay."""
        payload = passport.payload
        moment = stamp(wall)
        # Where nothing needs escaping, sorting by code units and by bytes is the same, and an
        # encoder in C does what the canonicalizer would: a passport's first request is no slower.
        if payload.isascii() and b"\\" not in payload and not passport.chain:
            bundle = f',"bundle":{self.bundle}' if self.bundle else ""
            head = f'{{"agent_id":"{passport.agent}"{bundle},"claims":'
            tail = (
                f',"issuer":"{passport.issuer}","kind":"passport"'
                f',"passport_hash":"{passport.digest}","passport_id":"{passport.id}"'
                f',"seq":{seq},"time":"{moment}","v":1}}'
            )
            if _proven(head + tail, 32 if bundle else 30) is not None:
                return head.encode() + _sorted_members(_read_claims(payload)) + tail.encode()
        members: dict[str, Any] = {
            "agent_id": passport.agent,
            "claims": passport.claims,
            "issuer": passport.issuer,
            "passport_hash": passport.digest,
            "passport_id": passport.id,
        }
        if self.bundle:
            members["bundle"] = self.bundle
        return _general("passport", seq, moment, members)

    def event(self, kind: str, seq: int, wall: float, fields: Mapping[str, Any]) -> bytes:
        """The line of anything else; `fields` cannot replace the members that every line has."""
        if kind not in KINDS or kind == "checkpoint":
            raise ValueError(f"no line is of kind {kind!r}")
        members = {"gate_id": self._gate, **fields}
        if self.bundle:
            members["bundle"] = self.bundle
        return _general(kind, seq, stamp(wall), members)

    def _decision_slowly(self, record: Record, seq: int) -> bytes:
        """The same line, member by member, for values that need escaping or another form."""
        passport = record.passport
        members: dict[str, Any] = {
            "access_mode": record.access_mode,
            "client": record.client,
            "cost_cents": record.cost_cents,
            "decision": record.decision,
            "decision_id": record.decision_id,
            "enforced": record.enforced,
            "gate_id": self._gate,
            "method": record.method,
            "target": record.target,
            "trust_age_s": record.trust_age_s,
        }
        optional: dict[str, Any] = {
            "action": record.action,
            "agent_id": passport.agent if passport else "",
            "bundle": record.bundle,
            "catalog": record.catalog,
            "charges": [{"amount": c.amount, "counter": c.counter} for c in record.charges],
            "constraint": record.constraint,
            "constraints": record.evaluated,
            "facts": record.facts,
            "issuer": passport.issuer if passport else "",
            "passport_hash": passport.digest if passport else record.passport_hash,
            "passport_id": passport.id if passport else "",
            "chain": [link.id for link in passport.chain] if passport else [],
            "policy": record.policy,
            "query": self._hidden(record.query) if record.query else "",
            "reason_code": record.reason_code,
            "tier": record.tier,
            "trace_id": record.trace_id,
        }
        members.update((name, value) for name, value in optional.items() if value)
        once = record.once
        if once is not None:
            key: dict[str, Any] = {"digest": once.digest, "name": once.name}
            if record.repeated:
                key["repeated"] = True
            members["idempotency"] = key
        if record.catalog:
            members["catalog_version"] = record.catalog_version
        return _general("decision", seq, stamp(record.at.wall), members)

    def _hidden(self, query: bytes) -> str:
        """HMAC-SHA-256 of a query in hex: equal ones can be told, none can be guessed offline."""
        known = self._queries.find(query)
        if known is None:
            known = hmac.digest(self._query_key, query, "sha256").hex()
            if len(query) <= _LONGEST_CACHED_QUERY:
                self._queries.keep(query, known)
        return known

    def _remember(self, evaluated: tuple[tuple[str, str], ...]) -> tuple[str, int]:
        """Render results once for each combination that occurs; there are few."""
        text = f',"constraints":{canonical(evaluated).decode()}'
        if len(self._evaluated) >= _MOST_CACHED:
            self._evaluated.clear()
        known = self._evaluated[evaluated] = (text, text.count('"'))
        return known

    def _turn(self, second: int) -> None:
        self._second = second
        self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _proven(text: str, quotes: int) -> bytes | None:
    """The line's bytes if they are canonical as they stand, else None.

    Deleting what is harmless must leave exactly the template's own quotes: then no value held a
    quote, a backslash, a control character, or anything outside ASCII.
    """
    if quotes >= 1024 or not text.isascii():
        return None
    line = text.encode()
    return line if line.translate(None, _HARMLESS) == _QUOTES[quotes] else None


def _general(kind: str, seq: int, moment: str, members: Mapping[str, Any]) -> bytes:
    return canonical({**members, "kind": kind, "seq": seq, "time": moment, "v": VERSION})
