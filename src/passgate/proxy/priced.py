"""What a request costs, as its record tells it: of the free calls and of the platform's fee."""

from passgate.core.free_tier import is_free
from passgate.core.pricing import Terms, fee_cents
from passgate.ledger.protocol import Reservation
from passgate.record import Record


def note_fee(record: Record, terms: Terms) -> None:
    """Puts the platform's fee on what the request costs, and whose it is, among the facts."""
    points = terms.fee_basis_points
    record.fee_basis_points = points
    record.facts["platform_fee_cents"] = fee_cents(record.cost_cents, points)
    if terms.fee_recipient:
        record.facts["platform_fee_recipient"] = terms.fee_recipient


def note_taken(record: Record, reservation: Reservation) -> None:
    """Puts what a ledger has chosen to take into the record: a free call costs nothing."""
    record.charges = reservation.charges
    if is_free(reservation.charges):
        record.cost_cents = 0
        if record.fee_basis_points:
            record.facts["platform_fee_cents"] = 0
