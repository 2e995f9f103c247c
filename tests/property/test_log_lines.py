"""Whatever a record holds, its line is canonical JSON with the right values."""

import json

import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from tests.log_craft import passport, record

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.log.lines import Lines
from passgate.log.merkle import Frontier, inclusion_proof, leaf_hash, root_of, verify_inclusion

LINES = Lines("gate_lab", bytes(32))
PASSPORTS = (None, passport(), passport(agent_name="ä\U0001f600"))
TEXT = st.text(st.characters(exclude_categories=()), max_size=20) | st.text(
    st.sampled_from('ab"\\\n\x00é'), max_size=8
)
COUNT = st.integers(0, 2**70) | st.integers(0, 1000)
CHARGES = st.builds(Charge, TEXT, st.just("rate"), st.just(60), COUNT, st.just(1), st.just("c"))
TEXTS = (
    *("decision_id", "method", "target", "client", "decision", "reason_code", "constraint"),
    *("access_mode", "action", "catalog", "policy", "trace_id", "tier", "passport_hash"),
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(TEXTS, TEXT),
        "outcome": st.just("upstream_failed") | TEXT,
        "query": st.binary(max_size=20),
        "passport": st.sampled_from(PASSPORTS),
        "cost_cents": COUNT,
        "charges": st.lists(CHARGES, max_size=3).map(tuple),
        "evaluated": st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
        "facts": st.dictionaries(TEXT, TEXT | COUNT | st.booleans() | st.floats(), max_size=4),
        "trust_age_s": st.integers(0, 10**9),
        "enforced": st.booleans(),
        "status": st.integers(0, 999),
        "bytes_in": st.integers(0, 2**50),
        "bundle": st.sampled_from((0, 1, 1_800_000_000)),
        "bytes_out": st.integers(0, 2**50),
        "ms": st.integers(0, 10**9),
        "settled_cents": st.none() | COUNT,
        "released": st.booleans(),
        "at": st.builds(Instant, st.floats(0, 4e9), st.just(0.0)),
    },
)


@given(CHANGES, st.integers(0, 2**53 - 1))
def test_every_line_is_canonical(changes: dict[str, object], seq: int) -> None:
    """A line read and written again by the reference canonicalizer is itself, on one line."""
    entry = record(**changes)
    for line in (LINES.decision(entry, seq), LINES.outcome(entry, seq)):
        members = json.loads(line)
        assert rfc8785.dumps(members) == line
        assert members["seq"] == seq
        assert not set(line) & set(range(0x20))


@given(CHANGES, st.integers(0, 2**53 - 1))
def test_the_fast_way_and_the_slow_way_agree(changes: dict[str, object], seq: int) -> None:
    """Rendering from prepared pieces changes no byte."""
    entry = record(**changes)
    assert LINES.decision(entry, seq) == LINES._decision_slowly(entry, seq)


@given(st.integers(1, 200), st.data())
def test_any_leaf_of_any_tree_is_proven(size: int, data: st.DataObject) -> None:
    """Proofs verify against the root that appending arrives at."""
    hashes = [leaf_hash(b"%d" % n) for n in range(size)]
    tree = Frontier()
    tree.extend(hashes)
    index = data.draw(st.integers(0, size - 1))
    assert tree.root() == root_of(hashes)
    path = inclusion_proof(hashes, index)
    assert verify_inclusion(hashes[index], index, size, path, tree.root())


@given(st.integers(1, 200), st.data())
def test_a_proof_needs_no_more_than_the_frontier(size: int, data: st.DataObject) -> None:
    """Whatever was forgotten before the leaf, its path is that of the whole tree."""
    hashes = [leaf_hash(b"%d" % n) for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    forgotten = data.draw(st.integers(0, index))
    before = Frontier()
    before.extend(hashes[:forgotten])
    assert inclusion_proof(hashes[forgotten:], index, before) == inclusion_proof(hashes, index)
