"""Makes a plan that fails as small as it can while it fails in the same way."""

import copy
from collections.abc import Callable

from tests.fuzz.plan import Plan

_MOST_TRIES = 4000


def shrunk(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """A plan with fewer events and shorter bytes for which `fails` still holds."""
    tries = 0

    def smaller(change: Callable[[Plan], None]) -> bool:
        nonlocal plan, tries
        tries += 1
        candidate = copy.deepcopy(plan)
        change(candidate)
        if tries <= _MOST_TRIES and fails(candidate):
            plan = candidate
            return True
        return False

    progress = True
    while progress and tries <= _MOST_TRIES:
        progress = False
        for at in reversed(range(len(plan.events))):
            progress |= smaller(lambda each, at=at: each.events.pop(at))
        for at in reversed(range(len(plan.answers))):
            if len(plan.answers) > 1:
                progress |= smaller(lambda each, at=at: each.answers.pop(at))
        for name, plain in (
            ("rooms", (0, 0)),
            ("half", True),
            ("early", False),
            ("dies", 0),
            ("pace", [0]),
        ):
            if getattr(plan, name) != plain:
                progress |= smaller(lambda each, name=name, plain=plain: setattr(each, name, plain))
        for at in range(len(plan.events)):
            progress |= _cut(lambda at=at: plan.events[at][2], smaller, _in_event(at))
        for at in range(len(plan.answers)):
            progress |= _cut(lambda at=at: plan.answers[at], smaller, _in_answer(at))
    return plan


_Put = Callable[[Plan, bytes], None]


def _in_event(at: int) -> _Put:
    def put(plan: Plan, data: bytes) -> None:
        what, number, _ = plan.events[at]
        plan.events[at] = (what, number, data)

    return put


def _in_answer(at: int) -> _Put:
    def put(plan: Plan, data: bytes) -> None:
        plan.answers[at] = data

    return put


def _cut(
    current: Callable[[], bytes], smaller: Callable[[Callable[[Plan], None]], bool], put: _Put
) -> bool:
    """Takes out ever shorter slices; true where any could go."""
    progress = False
    size = len(current()) // 2
    while size:
        at = 0
        while at < len(current()):
            data = current()
            rest = data[:at] + data[at + size :]
            if smaller(lambda plan, rest=rest: put(plan, rest)):
                progress = True
            else:
                at += size
        size //= 2
    return progress
