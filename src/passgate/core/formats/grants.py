"""The `grants` claim: restrictions by resource, with amounts as exact decimals."""

import re
from decimal import Decimal
from typing import Any

from passgate.core.jws import A_NAME, MalformedError, UnsupportedError, is_name, named
from passgate.core.passport import Grant
from passgate.core.rfc3339 import parse_instant

MAX_AMOUNT_DIGITS = 18
"""Digits of an amount before and after the point together, as for amounts of requests."""

_MEMBERS = frozenset({
    "resource", "allowedActions", "blockedActions", "requiresApproval", "maxAmount",
    "allowedVendors", "expiresAt",
})  # fmt: skip
_AMOUNT = re.compile(r"(\d{1,18})(?:\.(\d{1,18}))?", re.ASCII)


def read_grants(value: object) -> tuple[Grant, ...]:
    """The grants that the claim lists. Raises `MalformedError`, or `UnsupportedError` by member."""
    if type(value) is not list:
        raise MalformedError("The claim `grants` must be a list.")
    return tuple([_grant(entry) for entry in value])


def _grant(entry: object) -> Grant:
    if type(entry) is not dict:
        raise MalformedError("A grant must be an object.")
    if not entry.keys() <= _MEMBERS:
        raise UnsupportedError(f"A grant has {named(entry.keys() - _MEMBERS)}.")
    resource = entry.get("resource")
    if type(resource) is not str or not is_name(resource):
        raise MalformedError(f"A grant's `resource` must be {A_NAME}.")
    approval = entry.get("requiresApproval", False)
    if type(approval) is not bool:
        raise MalformedError("A grant's `requiresApproval` must be true or false.")
    return Grant(
        resource=resource,
        allowed_actions=_names(entry, "allowedActions"),
        blocked_actions=_names(entry, "blockedActions"),
        requires_approval=approval,
        max_amount=_amount(entry["maxAmount"]) if "maxAmount" in entry else None,
        allowed_vendors=_names(entry, "allowedVendors"),
        expires_at=_instant(entry["expiresAt"]) if "expiresAt" in entry else None,
    )


def _names(entry: dict[str, Any], member: str) -> frozenset[str]:
    value = entry.get(member, [])
    if type(value) is not list or not all(type(name) is str and is_name(name) for name in value):
        raise MalformedError(f"A grant's `{member}` must be a list of strings.")
    return frozenset(value)


def _amount(value: object) -> tuple[int, int]:
    """(digits, scale) of a JSON number or a decimal string; never through a binary float."""
    if type(value) is int and value >= 0:  # of 16 digits at most, as strict JSON reads integers
        return value, 0
    if type(value) is str and (match := _AMOUNT.fullmatch(value)) is not None:
        fraction = match[2] or ""
        if len(match[1]) + len(fraction) <= MAX_AMOUNT_DIGITS:
            return int(match[1] + fraction), len(fraction)
    if type(value) is Decimal:
        sign, digits, exponent = value.as_tuple()
        # A parsed number is finite, so the exponent is an int; mypy knows also "n", "N", "F".
        if isinstance(exponent, int) and not sign and -MAX_AMOUNT_DIGITS <= exponent <= 0:
            number = int("".join(map(str, digits)))
            if len(digits) <= MAX_AMOUNT_DIGITS:
                return number, -exponent
    raise MalformedError(
        f"A grant's `maxAmount` must be a plain decimal of at most {MAX_AMOUNT_DIGITS} digits."
    )


def _instant(value: object) -> float:
    if type(value) is not str:
        raise MalformedError("A grant's `expiresAt` must be a string.")
    try:
        return parse_instant(value)
    except ValueError as error:
        raise MalformedError(f"A grant's `expiresAt` cannot be read: {error}.") from None
