"""Counters are a fold over the log: what its lines say was taken and given back, in their order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from passgate.errors import DataError
from passgate.ledger.counters import Counters
from passgate.ledger.operations import ONCE, Operation, Operations, Remembering
from passgate.ledger.sliding_window import GREATEST
from passgate.ledger.timeline import Timeline

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# What no line of these kinds says changes a counter; a kind that is not known might.
_UNCOUNTED = frozenset(("trust", "config", "passport", "suppressed", "start", "stop", "gap"))


@dataclass(frozen=True, slots=True)
class OpenDecision:
    """An allowed or held request whose end is not known yet, and when its charges count.

    Spend of an `operation` is the operation's, and not among these.
    """

    ms: int
    wall: float
    charges: tuple[tuple[str, int], ...]
    operation: Operation | None = None


class Fold:
    """Counters, and the allowed requests without an outcome, after all lines before `position`.

    An allowed decision takes its charges at its line's time, whatever the limits were. Its outcome
    gives them back when `released`, or lowers its spend to `settled_cents`; further `minutes` of it
    are lines of kind `charge`, and those that did not begin come back with it. Requests of one
    operation (`idempotency`) owe one spend. What is in flight is not counted: nothing of it is left
    when a log is read. A line of a hold or its approval that has `charges` takes these for the hold
    from then on, and one that is `released` gives them back.
    """

    def __init__(
        self,
        counters: Counters | None = None,
        time: Timeline | None = None,
        position: int = 0,
        operations: Operations | None = None,
    ) -> None:
        self.counters = counters or Counters()
        self.time = time or Timeline()
        self.operations = Operations(Remembering()) if operations is None else operations
        self.position = position
        self.open: dict[str, OpenDecision] = {}

    def add(self, line: Mapping[str, Any]) -> None:
        """Goes on by one line, which must be the one at `position`.

        Raises DataError, naming the line, where it is another or is not what the gate writes.
        """
        problem = ""
        try:
            kind = line["kind"]
            if kind == "checkpoint":  # no leaf of the log, so it has no place in the count
                return
            if line["seq"] != self.position:
                problem = f"it is numbered {line['seq']!r}"
            elif kind == "decision":
                if line["decision"] == "allow":
                    self._take(line, line["decision_id"])
            elif kind == "outcome":
                self._end(line)
            elif kind == "charge":
                self._take(line, _minute(line["decision_id"], line["minute"]))
            elif kind in {"hold", "approval"}:
                self._hold(line)
            elif kind not in _UNCOUNTED:
                problem = f"its kind {kind!r} is not known to this version"
        except KeyError as missing:
            problem = f"it has no {missing}"
        except (TypeError, ValueError) as error:
            problem = str(error)
        if problem:
            raise DataError(
                f"log line {self.position} cannot be counted: {problem}; "
                "check the log with `passgate audit verify`, or start the version that wrote it"
            )
        self.position += 1

    def close(self) -> None:
        """Whoever had open requests is gone: their operations may have been forwarded, so they
        stay charged and a repeat is one.
        """
        for opened in self.open.values():
            operation = opened.operation
            if operation is not None:
                operation.open = 0
                operation.sent = True

    def _hold(self, line: Mapping[str, Any]) -> None:
        name, released = line["hold_id"], line.get("released", False)
        if type(released) is not bool:
            raise ValueError("`released` is of a wrong type")
        if released or "charges" in line:
            opened = self.open.pop(name, None)
            if opened is not None:
                for counter, amount in opened.charges:
                    self._give_back(counter, amount, opened.ms, opened.wall)
        self._take(line, name)

    def _take(self, line: Mapping[str, Any], name: str) -> None:
        time = self.time
        ms = time.see_written(_seconds(line["time"]))
        charges = []
        for charge in line.get("charges", ()):
            counter, amount = charge["counter"], charge["amount"]
            if type(amount) is not int or not 0 <= amount <= GREATEST:
                raise ValueError(f"{amount!r} is no amount of {counter!r}")
            if counter.startswith("concurrent/") or not amount:
                continue
            charges.append((counter, amount))
        for counter, amount in charges:
            self.counters.window(counter, ms, time.wall).put(ms, time.wall, amount)
        operation = None
        if "idempotency" in line:
            operation = self._operation(line["idempotency"], charges, ms)
            if operation is not None:
                operation.open += 1
                charges = [charge for charge in charges if not charge[0].startswith(ONCE)]
        if charges or operation is not None:
            self.open[name] = OpenDecision(ms, time.wall, tuple(charges), operation)

    def _operation(
        self, key: Mapping[str, Any], charges: Iterable[tuple[str, int]], ms: int
    ) -> Operation | None:
        """The operation that a line names: what is remembered of it, or a new one."""
        name, digest = key["name"], key["digest"]
        if type(name) is not str or type(digest) is not str or "/" not in name:
            raise ValueError("`idempotency` is of a wrong type")
        if key.get("repeated", False):
            return self.operations.known(name)
        spend = tuple([charge for charge in charges if charge[0].startswith(ONCE)])
        return self.operations.add(name, digest, ms, self.time.wall, spend)

    def _end(self, line: Mapping[str, Any]) -> None:
        opened = self.open.pop(line["decision_id"], None)
        released, settled = line.get("released", False), line.get("settled_cents")
        if type(released) is not bool or not (settled is None or type(settled) is int):
            raise ValueError("`released` or `settled_cents` is of a wrong type")
        if "minutes" in line or released:
            later = self._end_minutes(line["decision_id"], 0 if released else line["minutes"])
            settled = None if settled is None else settled - later
        if opened is None:
            return
        for name, amount in opened.charges:
            if released:
                self._give_back(name, amount, opened.ms, opened.wall)
            elif settled is not None and name.startswith("spend/"):
                back = amount - min(max(settled, 0), amount)
                self._give_back(name, back, opened.ms, opened.wall)
        operation = opened.operation
        if operation is not None:
            for name, amount in operation.end(not released, settled):
                self._give_back(name, amount, operation.ms, operation.wall)
            if not operation.open and not operation.sent:
                self.operations.forget(operation)

    def _end_minutes(self, name: str, minutes: Any) -> int:
        """Ends the minutes after the first, and sums up what those took that had begun."""
        if type(minutes) is not int:
            raise ValueError("`minutes` is of a wrong type")
        later, number = 0, 2
        while (opened := self.open.pop(_minute(name, number), None)) is not None:
            if number <= minutes:
                later += max(amount for _, amount in opened.charges)
            else:
                for counter, amount in opened.charges:
                    self._give_back(counter, amount, opened.ms, opened.wall)
            number += 1
        return later

    def _give_back(self, name: str, amount: int, ms: int, wall: float) -> None:
        counter = self.counters.by_name.get(name)
        if counter is not None:
            counter.give_back(ms, wall, amount)


def fold(lines: Iterable[Mapping[str, Any]], position: int = 0) -> Fold:
    """The counters after `lines`, of which the first is the log's line number `position`."""
    folded = Fold(position=position)
    for line in lines:
        folded.add(line)
    return folded


def _minute(name: str, number: Any) -> str:
    """What an open decision's minute is called among the open ones; see `proxy.metering`."""
    if type(number) is not int:
        raise ValueError("`minute` is of a wrong type")
    return f"{name}+{number}"


def _seconds(text: str) -> float:
    """RFC 3339 as Unix seconds, of whole milliseconds."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND / 1000
