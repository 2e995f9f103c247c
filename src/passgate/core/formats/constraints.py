"""The constraints that a passport names, in whichever format."""

import re
from typing import Final

from passgate.core.constraints import parse_constraints
from passgate.core.constraints.base import ConstraintSet
from passgate.core.generations import Generations
from passgate.core.jws import MalformedError

_LONGEST_SHARED: Final = 2048
_sets: Final[Generations[str, ConstraintSet]] = Generations(1024)
# A sentence of a constraint's parser goes out only if it can do no harm in a header.
_SAFE_SENTENCE: Final = re.compile(r"[A-Za-z0-9 ,.;:'`()/_<>=*+#-]{1,200}", re.ASCII)


def read_constraints(value: object) -> ConstraintSet:
    """The constraints that an object of a passport says, equal ones once for all passports.

    Raises `MalformedError` for what is no object, and for a value of the wrong kind.
    """
    if type(value) is not dict:
        raise MalformedError("The member `constraints` must be an object.")
    # An issuer mostly sets the same limits: equal ones are read once, and kept once.
    text = repr(value)
    known = _sets.find(text) if len(text) <= _LONGEST_SHARED else None
    if known is not None:
        return known
    try:
        read_set = parse_constraints(value)
    except ValueError as error:
        sentence = str(error)
        if _SAFE_SENTENCE.fullmatch(sentence) is None:
            sentence = "its value is not of the right kind"
        raise MalformedError(f"A constraint cannot be read: {sentence}") from None
    if len(text) <= _LONGEST_SHARED:
        _sets.keep(text, read_set)
    return read_set
