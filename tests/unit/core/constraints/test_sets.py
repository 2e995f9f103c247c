"""Constraint sets: read strictly, every problem named, joined without loss."""

from collections.abc import Mapping
from typing import Any

import pytest

from passgate.core.constraints import (
    CONSTRAINTS,
    ConstraintValueError,
    merge,
    parse_constraints,
    problems,
)
from passgate.core.constraints.base import NO_CONSTRAINTS, ConstraintSet

MINUTE = "core:rate:max_per_minute"


def test_nothing_is_no_constraint() -> None:
    """An empty mapping is the one empty set."""
    assert parse_constraints({}) is NO_CONSTRAINTS
    assert not NO_CONSTRAINTS
    assert parse_constraints({MINUTE: 1})
    assert parse_constraints({"x:y": 1})


def test_unknown_keys_come_out_sorted() -> None:
    """A key that no row enforces is kept, to be refused, and is not an error of reading."""
    parsed = parse_constraints({"core:time:age": "1h", MINUTE: 5, "acme:custom": None})

    assert parsed == ConstraintSet({MINUTE: 5}, ("acme:custom", "core:time:age"))


@pytest.mark.parametrize(
    "key",
    [
        "rate_limits",
        "Core:rate:max_per_minute",
        " core:rate:max_per_minute",
    ],
)
def test_what_this_version_has_not_built_is_unknown(key: str) -> None:
    """Documented keys, aliases and near misses that nothing enforces are never skipped."""
    assert parse_constraints({key: True}).unknown == (key,)
    assert problems({key: True})[0].startswith(key)


@pytest.mark.parametrize("key", ["", "a" * 129, "a\nb", "\ud800", 5, None])
def test_a_key_is_a_short_printable_text(key: Any) -> None:
    """A key that could forge a log line or a header is refused whole."""
    with pytest.raises(ConstraintValueError) as caught:
        parse_constraints({key: 1})
    assert caught.value.key == ""


@pytest.mark.parametrize("mapping", [None, [], "x", 5])
def test_constraints_are_an_object(mapping: Any) -> None:
    """Anything else than an object is refused with a sentence."""
    with pytest.raises(ConstraintValueError, match="must be an object"):
        parse_constraints(mapping)


def test_a_set_is_bounded() -> None:
    """More keys than anyone needs are refused before any is read."""
    assert len(parse_constraints({f"x:{n}": 1 for n in range(256)}).unknown) == 256
    with pytest.raises(ConstraintValueError, match="at most 256"):
        parse_constraints({f"x:{n}": 1 for n in range(257)})


@pytest.mark.parametrize(
    ("size", "good"), [(1024, True), (1025, False)], ids=["at the bound", "beyond"]
)
def test_a_list_is_bounded(size: int, good: bool) -> None:
    """A list holds at most 1,024 entries."""
    found = problems({"core:scope:action_allowlist": [f"a:{n}" for n in range(size)]})

    assert (found == []) is good


def test_the_error_names_the_key_and_what_is_needed() -> None:
    """Whoever reads the error knows what to change."""
    with pytest.raises(ConstraintValueError) as caught:
        parse_constraints({MINUTE: True})

    assert caught.value.key == MINUTE
    assert caught.value.sentence == "must be a whole number from 0 to 9007199254740991"
    assert str(caught.value) == f"{MINUTE}: {caught.value.sentence}"


def test_every_problem_is_named_at_once() -> None:
    """Bad values and unknown keys come together, the latter with the nearest known name."""
    assert problems(
        {
            "core:rate:max_per_minut": 5,
            "core:rate:max_per_hour": "5",
            "core:cost:cumulative_window": "daily",
            "zzz": 1,
            "core:rate:max_per_day": 5,
        }
    ) == [
        "core:cost:cumulative_window: must stand beside core:cost:max_cumulative",
        "core:rate:max_per_hour: must be a whole number from 0 to 9007199254740991",
        (
            "core:rate:max_per_minut: no such constraint in this version;"
            " did you mean core:rate:max_per_minute?"
        ),
        "zzz: no such constraint in this version",
    ]


def test_a_bad_limit_is_one_problem() -> None:
    """A window beside a limit that cannot be read is not said to stand alone."""
    found = problems({"core:cost:max_cumulative": -1, "core:cost:cumulative_window": "daily"})

    assert [problem.partition(": ")[0] for problem in found] == ["core:cost:max_cumulative"]


@pytest.mark.parametrize("key", [key for key in CONSTRAINTS if not CONSTRAINTS[key].parameter_of])
def test_merging_with_itself_or_nothing_changes_nothing(key: str) -> None:
    """Each example is what it was after merging it with itself, and with no constraints."""
    parsed = parse_constraints({key: CONSTRAINTS[key].example})

    assert merge(parsed, parsed) == parsed
    assert merge(parsed, NO_CONSTRAINTS) is parsed
    assert merge(NO_CONSTRAINTS, parsed) is parsed
    assert hash(parsed.values[key]) == hash(parsed.values[key])


def test_merging_keeps_keys_and_unknown_keys_of_both() -> None:
    """Nothing that either side owes is lost, known or not."""
    merged = merge(
        parse_constraints({MINUTE: 5, "b:x": 1}),
        parse_constraints({"core:data:read_only": True, "a:x": 1, "b:x": 2}),
    )

    assert merged == ConstraintSet({MINUTE: 5, "core:data:read_only": True}, ("a:x", "b:x"))


def test_the_term_that_is_merged_last_stays() -> None:
    """Terms are the catalog's, which is merged last."""
    key = "core:pricing:per_call_cents"

    assert merge(parse_constraints({key: 1}), parse_constraints({key: 9})).values[key] == 9


def test_the_table_is_in_evaluation_order() -> None:
    """The table's own order is that in which constraints are evaluated, and every row is whole."""
    orders = [row.order for row in CONSTRAINTS.values()]
    rows: Mapping[str, Any] = CONSTRAINTS

    assert orders == sorted(orders)
    for key, row in rows.items():
        assert row.key == key
        assert row.value
        assert row.refuses
        assert row.merging
        assert row.judge is None or row.charge is None
