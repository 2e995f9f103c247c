"""How much work something is, in units of this machine's own pace at that moment.

A bound in seconds is red on a machine that is slow or busy, though nothing is wrong. What takes
time by the square of its input takes many times too long on any machine, so it is compared with a
piece of work that is always the same, measured just before and after.
"""

import gc
from collections.abc import Callable
from time import process_time

ATTEMPTS = 5
_HOPELESS = 10  # so many times too much is no accident: it is not tried again


def _known_work() -> int:
    """A pace: 4 ms of one core of the machine that bounds were found on; loops, objects, bytes."""
    total = 0
    kept = []
    data = bytes(range(256)) * 64
    for number in range(12_000):
        kept.append({"n": number, "s": data[number : number + 8]})
        total += len(kept[-1]) + data.find(b"\x00", number)
    return total


def pace_s() -> float:
    """How many seconds of CPU a pace takes now: the least of a few."""
    return min(_cpu_s(_known_work) for _ in range(ATTEMPTS))


def _cpu_s(work: Callable[[], object]) -> float:
    before = process_time()
    work()
    return process_time() - before


def paces(work: Callable[[], object], *, enough: float = 0.0, attempts: int = ATTEMPTS) -> float:
    """The CPU time of `work` in paces: the least of some attempts, each beside a pace of its own.

    Ends early at one that takes at most `enough`, or hopelessly more. `work` must be as much each
    time: nothing of it may be remembered.
    """
    least = float("inf")
    gc.freeze()  # what other tests have left is no part of this work, nor is looking through it
    try:
        for _ in range(attempts):
            before = _cpu_s(_known_work)
            took = _cpu_s(work)
            after = _cpu_s(_known_work)
            # The slower of both: what the machine was busy with may have begun or ended between.
            least = min(least, took / max(before, after))
            if least <= enough or (enough and least > _HOPELESS * enough):
                break
    finally:
        gc.unfreeze()
    return least


def assert_quick(work: Callable[[], object], most: float, what: object = "it") -> None:
    """Fails where `work` takes more than `most` paces in each of some attempts."""
    took = paces(work, enough=most)
    assert took <= most, f"{what} took {took:.1f} paces, more than {most}"
