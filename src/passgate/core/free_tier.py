"""Free calls: a charge that comes first, and takes what the others would spend upon itself.

A counter of kind `free` counts an agent's free calls of one action. Where it still has room the
call takes one from it and spends nothing; where it has none it takes nothing, and the others what
they say. Which of the two it is, a ledger decides in the step in which it takes the charges.
"""

from dataclasses import replace
from typing import Final, TypeAlias

from passgate.core.constraints.base import Charge
from passgate.core.generations import Generations
from passgate.core.pricing import FREE_CALLS

FREE: Final = "free"

Charges: TypeAlias = tuple[Charge, ...]

_MOST: Final = 4096


def free_charge(subject: str, calls: int) -> Charge:
    """One of the first `calls` calls of `subject`, for as long as there are any left."""
    return Charge(f"{FREE}/total/{subject}", FREE, "total", 1, calls, FREE_CALLS)


# By identity, as charges are made once for each passport and price, and compared so by whoever
# keeps what it made of them; each entry holds the tuples whose numbers stand for it.
_offers: Final[Generations[tuple[int, str, int], tuple[Charges, Charges]]] = Generations(_MOST)
_choices: Final[Generations[int, tuple[Charges, Charges, Charges]]] = Generations(_MOST)


def with_free(charges: Charges, free: Charge) -> Charges:
    """`charges` with the free call before them; the very same tuple for the same ones again."""
    key = (id(charges), free.counter, free.limit)
    known = _offers.find(key)
    if known is None:
        known = charges, (free, *charges)
        _offers.keep(key, known)
        _choices.keep(id(known[1]), _chosen(known[1], charges))
    return known[1]


def is_free(charges: Charges) -> bool:
    """Whether a free call comes before these charges."""
    return bool(charges) and charges[0].kind == FREE


def choices(charges: Charges) -> tuple[Charges, Charges]:
    """What charges that begin with a free call come to: where there is one left, and where not."""
    known = _choices.find(id(charges))
    if known is None:
        known = _chosen(charges, charges[1:])
        _choices.keep(id(charges), known)
    return known[1], known[2]


def _chosen(charges: Charges, priced: Charges) -> tuple[Charges, Charges, Charges]:
    gratis = [replace(each, amount=0) if each.kind == "spend" else each for each in charges]
    return charges, tuple(gratis), priced
