"""Runs many plans: `python -m tests.fuzz --executions 1000000 --seed 7`.

Four kinds in turn: hostile requests, hostile answers, both with any timing, and clients of HTTP/2
with hostile frames; one execution in eight is read again by independent readers. A failure is made
small, printed, and ends the run with 1. `--only N` runs one execution again, by the number that was
printed.
"""

import argparse
import sys
import time
import traceback

from tests.fuzz.frames import FrameWorld, frame_plan
from tests.fuzz.plan import Plan, make_plan
from tests.fuzz.shrink import shrunk
from tests.fuzz.world import World

KINDS = ("requests", "answers", "both", "frames")
_REPORT_EVERY_S = 10.0
_COMPARE_EVERY = 8


def plan_of(seed: int, number: int) -> Plan:
    """The plan of an execution: a function of the seed and its number."""
    kind = KINDS[number % len(KINDS)]
    return (
        frame_plan(seed << 40 | number)
        if kind == "frames"
        else make_plan(seed << 40 | number, kind=kind)
    )


def execute(plan: Plan, number: int, *, compare: bool) -> BaseException | None:
    """Runs the plan of this execution; what it raised, or None where everything held."""
    world = (FrameWorld if KINDS[number % len(KINDS)] == "frames" else World)(plan)
    try:
        world.run()
        if compare:
            world.compare()
    except Exception as error:
        return error
    return None


def where(error: BaseException) -> tuple[type, str]:
    """What failures have in common that are the same one: the type, and the line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return type(error), f"{frame.filename}:{frame.lineno}"


def run(seed: int, numbers: range) -> int:
    """Runs these executions; 1 after a failure, which is printed, else 0."""
    begun = reported = time.monotonic()
    for done, number in enumerate(numbers, 1):
        plan = plan_of(seed, number)
        # What is answered before it is read is where readers get out of step.
        compare = plan.early or number % _COMPARE_EVERY == 0
        error = execute(plan, number, compare=compare)
        if error is not None:
            report(seed, number, error, compare=compare)
            return 1
        now = time.monotonic()
        if now - reported >= _REPORT_EVERY_S or done == len(numbers):
            reported = now
            print(f"{done} executions, {done / (now - begun):.0f} a second", flush=True)
    return 0


def report(seed: int, number: int, error: BaseException, *, compare: bool) -> None:
    """Prints a failure with the smallest plan that fails alike."""
    kind = where(error)

    def fails(plan: Plan) -> bool:
        again = execute(plan, number, compare=compare)
        return again is not None and where(again) == kind

    traceback.print_exception(error, limit=-8)
    print(f"\nexecution {number} of seed {seed} fails; the smallest that fails alike:\n")
    print(shrunk(plan_of(seed, number), fails))
    print(f"\nagain: python -m tests.fuzz --seed {seed} --only {number}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.only is not None:
        return run(arguments.seed, range(arguments.only, arguments.only + 1))
    return run(arguments.seed, range(arguments.executions))


if __name__ == "__main__":
    sys.exit(main())
