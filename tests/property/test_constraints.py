"""Constraints as laws: merging is exactly 'both', adding never widens, reading never surprises."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.asked import asked

from passgate.core.constraints import (
    CONSTRAINTS,
    Compiled,
    ConstraintValueError,
    compile_owed,
    merge,
    parse_constraints,
    problems,
    refusal_for,
)
from passgate.core.constraints.base import Charge, ConstraintSet, Recall
from passgate.core.constraints.subjects import subject_of_counterparty
from passgate.core.facts import Facts
from passgate.core.instant import Instant
from passgate.core.reasons import REASONS
from passgate.core.request import Request
from passgate.core.tiers import TIERS
from passgate.core.trust import Issuer, KeySet
from passgate.testing import revocations

CUMULATIVE = "core:cost:max_cumulative"
WINDOW = "core:cost:cumulative_window"

# Small worlds, in which values and requests meet often.
small = st.integers(0, 4)
names = st.sampled_from(["a", "b", "A", "c"])
actions = st.sampled_from(
    ["api:search", "api:delete_all", "api:a:b", "api", "shop:buy", "get:/v1/A/", "get:/v1/a;x"]
)
patterns = st.sampled_from(
    ["*", "api:*", "api:a:*", "api:search", "shop:buy", "get:/v1/a", "get:/v1/A/", "API:SEARCH"]
)
hosts = st.sampled_from(["a.example", "b.a.example", "example", "192.0.2.1", "2001:db8::1"])
domains = st.sampled_from(["a.example", ".a.example", ".example", "192.0.2.1", "2001:db8::1"])
paths = st.text("ab/;", max_size=6).map("/".__add__)
globs = st.sampled_from(
    ["/**", "/a", "/a/", "/a/**", "/*/b", "/*", "**/b", "/a*b", "/A/*", "/a;b", "**a**b"]
)
methods = st.sampled_from(["GET", "HEAD", "POST", "DELETE"])
clients = st.sampled_from(["192.0.2.1", "192.0.2.130", "2001:db8::1", "::ffff:192.0.2.1", "unix"])
networks = st.sampled_from(
    ["192.0.2.0/24", "192.0.2.128/25", "192.0.2.1", "::/0", "2001:db8::/32", "::ffff:192.0.2.0/121"]
)
# A fortnight around each change of clocks in Berlin, by the minute.
instants = st.one_of(
    *(st.integers(start, start + 14 * 86400) for start in (1_774_137_600, 1_792_281_600))
)
clock_times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 1, 30, 59]))
spans = st.fixed_dictionaries(
    {"from": clock_times, "to": clock_times | st.just("24:00")},
    optional={
        "days": st.lists(st.sampled_from(["mon", "tue", "sat", "sun"]), min_size=1),
        "zone": st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
    },
).filter(lambda span: span["from"] != span["to"])
stretches = st.sampled_from(
    [
        {"from": "2026-03-28T00:00:00Z", "to": "2026-03-30T00:00:00+05:45"},
        {"from": "2026-10-25T02:00:00+02:00", "to": "2026-10-25T02:00:00+01:00"},
    ]
)
currencies = st.sampled_from(["EUR", "USD"])
tiers = st.sampled_from(TIERS)
levels = st.none() | st.integers(1, 3)
windows = st.sampled_from(["daily", "weekly", "monthly", "total", "90m", "24h", "1d"])


def lists(entries: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(entries, max_size=3)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "core:time:operating_hours": spans | st.lists(spans, min_size=1, max_size=3),
    "core:time:blackout_windows": lists(spans | stretches),
    "core:scope:action_blocklist": lists(patterns),
    "core:scope:action_allowlist": lists(patterns),
    "core:scope:domain_blocklist": lists(domains),
    "core:scope:domain_allowlist": lists(domains),
    "core:scope:path_blocklist": lists(globs),
    "core:scope:path_allowlist": lists(globs),
    "core:scope:method_allowlist": lists(methods),
    "core:scope:resource_allowlist": lists(names),
    "core:scope:ip_allowlist": lists(networks),
    "core:scope:model_allowlist": lists(names),
    "core:rate:max_per_minute": small,
    "core:rate:max_per_hour": small,
    "core:rate:max_per_day": small,
    "core:rate:max_total": small,
    "core:rate:max_concurrent": small,
    "core:cost:max_per_action": small,
    CUMULATIVE: small,
    WINDOW: windows,
    "core:cost:approval_threshold": small,
    "core:approval:required": st.booleans(),
    "core:approval:for_actions": lists(patterns),
    "core:data:read_only": st.booleans(),
    "core:safety:fail_closed": st.booleans(),
    "core:safety:anomaly_suspend": st.booleans()
    | st.fixed_dictionaries(
        {},
        optional={
            "factor": st.integers(1, 4),
            "window": st.sampled_from(["1m", "5m"]),
            "baseline": st.sampled_from(["5m", "30m"]),
        },
    ),
    "core:approval:new_counterparty": st.booleans(),
    "core:data:no_pii_export": st.booleans(),
    "core:data:pii_mode": st.sampled_from(["block", "redact", "log_only"]),
    "core:data:content_types": lists(
        st.sampled_from(["application/json", "application/*", "text/*"])
    ),
    "core:time:max_age": st.sampled_from(["1s", "1h", "1d"]),
    "core:cost:currency": currencies,
    "core:identity:min_trust_tier": tiers,
    "core:identity:require_ial": st.integers(1, 3),
    "core:identity:require_aal": st.integers(1, 3),
    "core:identity:require_fal": st.integers(1, 3),
    "core:identity:require_proof": st.booleans(),
    "core:pricing:model": names,
    "core:pricing:currency": currencies,
    "core:platform_fee:recipient": names,
}
VALUES |= {key: small for key in CONSTRAINTS if key not in VALUES}


@st.composite
def sets_of(draw: st.DrawFn, key: str) -> ConstraintSet:
    """A set with one value for the key (a window comes with its limit)."""
    mapping = {key: draw(VALUES[key])}
    if key == WINDOW:
        mapping[CUMULATIVE] = draw(small)
    return parse_constraints(mapping)


any_set = st.sampled_from(sorted(CONSTRAINTS)).flatmap(sets_of)
card = "4111111111111111"
bodies = st.none() | st.sampled_from(
    [b"", b"{}", b"1", f'{{"a":"{card}"}}'.encode(), f"[{card}]".encode(), b"{", b"\xff"]
)
requests = st.builds(
    asked,
    methods,
    paths,
    hosts | st.just(""),
    clients,
    bodies,
    st.sampled_from([b"application/json", b"text/plain", b""]),
    st.none() | small,
    st.booleans(),
    st.sampled_from([b"", b"", b"websocket"]),
)
facts = st.builds(
    Facts,
    cost_cents=small,
    vendor=st.none() | names | st.just(card),
    domain=st.none() | hosts,
    resource=st.none() | names,
    currency=st.none() | currencies,
    missing=st.lists(st.sampled_from(["currency", "vendor", "domain"]), unique=True).map(tuple),
    model=st.none() | names,
    assurance=st.tuples(levels, levels, levels),
    proven=st.booleans(),
    chain_length=small,
)
# Known since a while ago or never, and good for an hour.
ages = st.none() | st.sampled_from([0, 3600, 3601])
presenters = st.none() | st.builds(
    lambda tier, keys, listed, age: (tier, keys, listed, age),
    tiers,
    ages,
    ages,
    st.integers(0, 90000),
)
moments = st.builds(Instant, instants.map(float), st.just(1000.0))
used = st.dictionaries(
    st.sampled_from(["rate/60", "rate/3600", "total/total", "spend/daily", "spend/86400"]), small
)
# What is remembered: the pace of everyone (recent, before, over how long), whom one dealt with,
# and what is not known before: how long the bodies are that still come.
memories = st.tuples(
    st.tuples(st.integers(0, 90), st.integers(0, 40), st.integers(1, 1800)),
    st.frozensets(st.sampled_from(["vendor|a", "vendor|b", "domain|a.example", "domain|example"])),
    small,
    small,
)
Presenter = tuple[str, int | None, int | None, int] | None
Memory = tuple[tuple[int, int, int], frozenset[str], int, int]
Case = tuple[Request, str, Facts, Instant, dict[str, int], Presenter, Memory]
cases = st.tuples(requests, actions, facts, moments, used, presenters, memories)


def asked_of(case: Case) -> tuple[Any, ...]:
    """What `evaluate` is called with."""
    request, action, declared, now, _, presenter, _ = case
    if presenter is None:
        return request, action, declared, now
    tier, keys_age_s, list_age_s, age_s = presenter
    issuer = Issuer(
        "iss_lab",
        tier,
        frozenset(),
        (),
        ConstraintSet({}),
        3600,
        True,
        None if keys_age_s is None else KeySet({}, "", _ago(now, keys_age_s)),
        None if list_age_s is None else revocations(_ago(now, list_age_s)),
    )
    return request, action, declared, now, issuer, "agent_1", int(now.wall) - age_s


def _ago(now: Instant, age_s: int) -> Instant:
    return Instant(now.wall - age_s, now.boot - age_s)


def severity(owed: list[tuple[str, ConstraintSet]], case: Case) -> int:
    """0: allowed, 1: held, 2: refused; by constraints, or by counters that hold `spent`."""
    return severity_of(compile_owed(owed), case)


def severity_of(compiled: Compiled, case: Case) -> int:
    """As `severity`, of what is compiled already."""
    spent = case[4]
    pace, known, sent, answered = case[6]
    found = compiled.evaluate(*asked_of(case))
    if found.refusal is not None:
        assert found.refusal.code in REASONS
        return 2
    if any(shortfall(charge, spent) for charge in found.charges):
        return 2
    bounds = compiled.bounds
    if bounds is not None and (answered > bounds.response or sent > bounds.request):
        return 2
    held = bool(found.holds) or any(watch.exceeded(*pace) for watch in compiled.watches)
    return 1 if held or any(is_new(recall, known) for recall in found.recalls) else 0


def is_new(recall: Recall, known: frozenset[str]) -> bool:
    dealt = {
        f"total/total/{subject_of_counterparty('iss_lab', 'agent_1', *each.split('|'))}"
        for each in known
    }
    return any(mark.counter not in dealt for mark in recall.marks)


def shortfall(charge: Charge, spent: dict[str, int]) -> bool:
    short = spent.get(f"{charge.kind}/{charge.window}", 0) + charge.amount > charge.limit
    assert not short or refusal_for(charge, None).code in REASONS
    return short


@pytest.mark.parametrize("key", CONSTRAINTS)
@given(data=st.data(), case=cases)
def test_merging_refuses_exactly_what_either_refuses(
    key: str, data: st.DataObject, case: Case
) -> None:
    """Merging two values of a key lets through neither more nor less than both together."""
    left, right = data.draw(sets_of(key)), data.draw(sets_of(key))

    apart = max(severity([("s", left)], case), severity([("s", right)], case))

    assert severity([("s", merge(left, right))], case) == apart
    assert severity([("s", merge(right, left))], case) == apart
    assert severity([("s", left), ("s", right)], case) == apart
    assert severity([("s", left), ("t", right)], case) == apart


@given(st.lists(any_set, max_size=5), cases)
def test_merging_in_any_grouping_is_the_same(parts: list[ConstraintSet], case: Case) -> None:
    """However sets of one subject are joined, what is refused stays the same."""
    joined = ConstraintSet({})
    for part in parts:
        joined = merge(joined, part)
    backwards = ConstraintSet({})
    for part in parts:
        backwards = merge(part, backwards)

    assert severity([("s", joined)], case) == severity([("s", backwards)], case)
    assert severity([("s", joined)], case) == severity([("s", part) for part in parts], case)


@given(
    st.lists(st.tuples(st.sampled_from("stu"), any_set), max_size=5),
    st.sampled_from("stu"),
    any_set,
    cases,
)
def test_adding_a_constraint_never_widens(
    owed: list[tuple[str, ConstraintSet]], subject: str, added: ConstraintSet, case: Case
) -> None:
    """One more constraint, of whatever origin, never turns a no into a yes or raises a limit."""
    more = [*owed, (subject, added)]

    assert severity(more, case) >= severity(owed, case)
    limits = {charge.counter: charge.limit for charge in compile_owed(more).charges}
    for charge in compile_owed(owed).charges:
        assert limits[charge.counter] <= charge.limit


@given(st.lists(st.tuples(st.sampled_from("st"), any_set), max_size=6))
def test_no_counter_is_charged_twice(owed: list[tuple[str, ConstraintSet]]) -> None:
    """Each counter is named once, or one request would take from it twice."""
    counters = [charge.counter for charge in compile_owed(owed).charges]

    assert len(counters) == len(set(counters))


@given(st.lists(any_set, max_size=5), cases)
def test_explaining_agrees_with_evaluating(parts: list[ConstraintSet], case: Case) -> None:
    """The explanation's first refusal, its holds and its charges are those of the evaluation."""
    compiled = compile_owed([(str(place), part) for place, part in enumerate(parts)])

    short = compiled.evaluate(*asked_of(case))
    long = compiled.evaluate_all(*asked_of(case))

    if short.refusal is None:
        assert (long.refusals, long[1:]) == ((), short[1:])
    else:
        assert long.refusals[0] == short.refusal
        assert long.results[: len(short.results)] == short.results


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from(
        ["09:00", "24:00", "UTC", "Europe/Berlin", "mon", "*", "a:*", "/**", ".a", "[::1]"]
    )
    | st.sampled_from(["2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z"])
    | st.sampled_from(["1d", "10.0.0.0/8", "GET", "\ud800", "%", "/%", "a" * 1025, ""])
)
things = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["from", "to", "days", "zone", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("key", CONSTRAINTS)
@settings(max_examples=40)
@given(raw=things)
def test_reading_fails_in_one_way_only(key: str, raw: Any) -> None:
    """Whatever a signer wrote, reading it gives a set or one kind of error with a sentence."""
    mapping = {key: raw, CUMULATIVE: 5} if key == WINDOW else {key: raw}
    found = problems(mapping)
    try:
        parsed = parse_constraints(mapping)
    except ConstraintValueError as error:
        said = [str(error)]
    else:
        said = []
        assert hash(tuple(parsed.values.items())) is not None
    assert found == said
    assert all(sentence.isprintable() for sentence in said)


@given(
    st.dictionaries(st.text(max_size=6) | st.sampled_from(sorted(CONSTRAINTS)), things, max_size=5)
)
def test_reading_a_whole_set_fails_in_one_way_only(mapping: dict[str, Any]) -> None:
    """Nothing is skipped: each key comes out as a value, as unknown, or in an error."""
    found = problems(mapping)
    try:
        parsed = parse_constraints(mapping)
    except ConstraintValueError:
        assert found
    else:
        kept = set(parsed.values) | set(parsed.unknown)
        assert kept == mapping.keys() - {WINDOW}
        assert len(found) == len(parsed.unknown)
