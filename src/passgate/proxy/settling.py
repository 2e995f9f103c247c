"""What a request that was sent upstream has cost after all, and how its reservation ends."""

from passgate.core.instant import Instant
from passgate.ledger.protocol import Ledger
from passgate.proxy.stated_cost import CLAMPED, corrected
from passgate.proxy.steps import Forward


def settle(forward: Forward, ledger: Ledger, now: Instant, status: int, outcome: str) -> None:
    """Settles what `forward` reserved, and puts what it cost into its record.

    That is all of it, once a byte was sent: a time-out, a reset, a 5xx and an agent that hung up
    change nothing. Only a whole answer of an upstream that may correct the cost lowers it, never
    below what minutes have cost that began after the first. Of the requests of one operation the
    first that ends here settles it; the others cost nothing more, but for such minutes.
    """
    record = forward.record
    first = record.cost_cents
    later = 0
    meter = forward.meter
    if meter is not None:
        record.minutes, later = meter.end(now, sent=True)
    reserved = cents = first + later
    if forward.stated_cost and forward.correctable:
        counts = outcome == "completed" and 200 <= status < 500
        cents, record.cost_correction = corrected(reserved, forward.stated_cost, counts=counts)
        if cents < later:
            cents, record.cost_correction = later, CLAMPED
    reservation = forward.reservation
    operation = None if reservation is None else reservation.operation
    if operation is None or not operation.sent:
        record.settled_cents = cents
    elif meter is not None:
        record.settled_cents = later
    if reservation is not None and reservation.open:
        # A repeat may be of another price than the first was, and the log knows only its own.
        lower = cents < reserved or record.repeated
        ledger.settle(reservation, cents - later if lower else None, now)
