"""Constraint sets: read from a passport, a catalog or the configuration, and joined with others."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from passgate.core.constraints import CONSTRAINTS
from passgate.core.constraints.aliases import aliases, translated
from passgate.core.constraints.base import NO_CONSTRAINTS, ConstraintSet
from passgate.core.generations import Generations

MAX_KEYS = 256
"""The most constraints that one set may have."""

MAX_KEY = 128
"""The most characters that a key may have."""


class ConstraintValueError(ValueError):
    """A constraint cannot be read: `key` names it, `sentence` says what its value must be.

    `key` is "" where the set itself is not one.
    """

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(f"{key}: {sentence}" if key else sentence)
        self.key = key
        self.sentence = sentence


def parse_constraints(mapping: Mapping[str, object], *, guardrails: bool = False) -> ConstraintSet:
    """The constraints of one origin, compiled; keys that no row enforces come out as `unknown`.

    Other systems' names are read as the rows that they stand for (see `aliases`), with `guardrails`
    also the guardrail object. Raises `ConstraintValueError` for the first value that is not what
    its key needs, and nothing else, whatever the mapping holds.
    """
    values, unknown, errors = _read(mapping, guardrails)
    if errors:
        raise errors[0]
    return ConstraintSet(values, tuple(sorted(unknown))) if values or unknown else NO_CONSTRAINTS


def problems(mapping: Mapping[str, object], *, guardrails: bool = False) -> list[str]:
    """Every bad value, and every key that nothing enforces with the nearest known one; sorted."""
    _, unknown, errors = _read(mapping, guardrails)
    found = [(error.key, str(error)) for error in errors]
    for key in unknown:
        nearest = get_close_matches(key, [*CONSTRAINTS, *aliases(guardrails=guardrails)], n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        found.append((key, f"{key}: no such constraint in this version{hint}"))
    return [sentence for _, sentence in sorted(found)]


def _read(
    mapping: Mapping[Any, object], guardrails: bool
) -> tuple[dict[str, Any], list[str], list[ConstraintValueError]]:
    if not isinstance(mapping, Mapping):
        return (
            {},
            [],
            [ConstraintValueError("", "constraints must be an object of keys and values")],
        )
    if len(mapping) > MAX_KEYS:
        return {}, [], [ConstraintValueError("", f"must have at most {MAX_KEYS} constraints")]
    values: dict[str, Any] = {}
    unknown: list[str] = []
    errors: list[ConstraintValueError] = []
    borrowed: list[tuple[str, dict[str, object]]] = []
    for key, raw in mapping.items():
        if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY or not key.isprintable():
            errors.append(
                ConstraintValueError("", f"a key must be a text of 1 to {MAX_KEY} characters")
            )
        elif key not in CONSTRAINTS:
            try:
                rows = translated(key, raw, guardrails=guardrails)
            except ValueError as error:
                errors.append(ConstraintValueError(key, str(error)))
                continue
            if rows is None:
                unknown.append(key)
            else:
                borrowed += [(key, row) for row in rows]
        else:
            try:
                values[key] = CONSTRAINTS[key].parse(raw)
            except ValueError as error:
                errors.append(ConstraintValueError(key, str(error)))
    for key in [key for key in values if CONSTRAINTS[key].parameter_of]:
        row = CONSTRAINTS[key]
        parameter = values.pop(key)
        if row.parameter_of in values:
            values[row.parameter_of] = row.merge(values[row.parameter_of], parameter)
        elif row.parameter_of not in mapping:
            errors.append(ConstraintValueError(key, f"must stand beside {row.parameter_of}"))
    for name, rows_of_name in borrowed:
        more, _, wrong = _read(rows_of_name, False)
        errors += [ConstraintValueError(name, error.sentence) for error in wrong]
        for key, value in more.items():
            values[key] = CONSTRAINTS[key].merge(values[key], value) if key in values else value
    return values, unknown, errors


def merge(left: ConstraintSet, right: ConstraintSet) -> ConstraintSet:
    """What is owed where both are owed by one subject: nothing that either refuses gets through.

    Where both hold a term, the right one stays: give the catalog's as `right`.
    """
    if not right:
        return left
    if not left:
        return right
    # The same two come again with each passport. By identity, since values are no keys; the entry
    # holds both, so that neither number becomes another set's.
    known = _merged.find((id(left), id(right)))
    if known is None:
        values = dict(left.values)
        for key, value in right.values.items():
            values[key] = CONSTRAINTS[key].merge(values[key], value) if key in values else value
        both = ConstraintSet(values, tuple(sorted({*left.unknown, *right.unknown})))
        known = left, right, both
        _merged.keep((id(left), id(right)), known)
    return known[2]


_merged: Final[Generations[tuple[int, int], tuple[ConstraintSet, ConstraintSet, ConstraintSet]]] = (
    Generations(1024)
)
