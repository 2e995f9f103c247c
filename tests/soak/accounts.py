"""What clients were told, in the same terms as the gate's metrics and log: the books must agree."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.soak.client import Answer

UPSTREAM_CODES = frozenset({"upstream_unreachable", "upstream_bad_response", "upstream_timeout"})
"""What is told after an allowed request came to nothing."""

BOTH_WAYS = (
    ("revoked", 200), ("revoked", 401), ("rotated key", 200), ("rotated key", 401),
    ("changing route", 200), ("changing route", 404), ("changing catalog", 200),
    ("changing catalog", 403), ("rate_limited", 200), ("budget_exhausted", 200),
    ("anonymous", 200), ("anonymous", 429), ("flood", 401), ("flood", 429),
)  # fmt: skip
"""Traffic that must have met either answer: else what changes did not change anything."""

_MANY = 10_000
"""Decisions in a run that is long enough for all of that."""

_MOST_SHOWN = 20


@dataclass
class Accounts:
    """Every decision that the clients know of.

    `decided` counts by (decision, reason code); `flooded` of these were answered unjudged, without
    a line of their own. `statuses` counts answers by kind of traffic and status. `allowed` are the
    ids of what passed. `surprises` says what should not have been.
    """

    decided: Counter[tuple[str, str]] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    flooded: int = 0
    allowed: set[str] = field(default_factory=set)
    surprises: list[str] = field(default_factory=list)

    def heard(self, kind: str, answer: Answer, expected: Iterable[str]) -> None:
        """Enters an answer, which should give one of the `expected` codes ("" for an allow)."""
        code = answer.code
        self.statuses[kind, answer.status] += 1
        if code not in expected:
            self.surprise(f"{kind}: {answer.status} {code or 'allowed'}")
        if code == "" or code in UPSTREAM_CODES:
            self.decided["allow", ""] += 1
            self.allowed.add(answer.decision_id)
            return
        self.decided["block", code] += 1
        self.flooded += answer.flooded

    def unheard(self, kind: str, decision: str, code: str) -> None:
        """Enters a decision that is certain, although its answer was not read."""
        self.statuses[kind, 0] += 1
        self.decided[decision, code] += 1

    def surprise(self, words: str) -> None:
        """Something that should not have been; the first few are kept."""
        if len(self.surprises) < _MOST_SHOWN:
            self.surprises.append(words)

    @property
    def total(self) -> int:
        """All decisions."""
        return sum(self.decided.values())


def of_metrics(text: str) -> Counter[tuple[str, str]]:
    """The decisions that the gate's metrics count."""
    from prometheus_client.parser import text_string_to_metric_families

    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "passgate_requests_total":
                found[sample.labels["decision"], sample.labels["reason"]] += int(sample.value)
    return found


@dataclass
class Logged:
    """What the log says: decisions by (decision, code), `suppressed` ones, outcomes by name."""

    decided: Counter[tuple[str, str]] = field(default_factory=Counter)
    suppressed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    allowed: set[str] = field(default_factory=set)


def of_log(lines: Iterable[dict[str, Any]]) -> Logged:
    """Counts the lines of a log."""
    found = Logged()
    for line in lines:
        kind = line["kind"]
        found.kinds[kind] += 1
        if kind == "decision":
            found.decided[line["decision"], line.get("reason_code", "")] += 1
            if line["decision"] == "allow":
                found.allowed.add(line["decision_id"])
        elif kind == "suppressed":
            found.suppressed += line["count"]
        elif kind == "outcome":
            found.outcomes[line["outcome"]] += 1
    return found


def differences(
    heard: Accounts, metrics: Counter[tuple[str, str]], logged: Logged, reached: Iterable[str]
) -> list[str]:
    """Every place where clients, metrics, log and upstream do not tell the same; best empty."""
    found = list(heard.surprises)
    in_log = Counter(logged.decided)
    in_log["block", "rate_limited"] += logged.suppressed
    for key in sorted(heard.decided.keys() | metrics.keys() | in_log.keys()):
        counts = heard.decided[key], metrics[key], in_log[key]
        if len(set(counts)) > 1:
            told = zip(("clients", "metrics", "log"), counts, strict=True)
            found.append(f"{' '.join(key)}: {', '.join(f'{who} {n}' for who, n in told)}")
    if heard.flooded != logged.suppressed:
        found.append(f"flooded: clients {heard.flooded}, log {logged.suppressed}")
    allowed, ended = logged.decided["allow", ""], sum(logged.outcomes.values())
    if allowed != ended:
        found.append(f"{allowed} requests allowed, {ended} outcomes")
    if heard.total > _MANY:
        found += [
            f"{kind}: never {status}"
            for kind, status in BOTH_WAYS
            if not heard.statuses[kind, status]
        ]
    reached = set(reached)
    if reached - logged.allowed:
        found.append(f"{len(reached - logged.allowed)} requests reached the upstream unrecorded")
    if heard.allowed - logged.allowed:
        found.append(f"{len(heard.allowed - logged.allowed)} allowed decisions are not in the log")
    return found
