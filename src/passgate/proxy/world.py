"""World: everything configured that judges a request; read once per request, swapped whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from passgate.catalog import NO_SHELF, Shelf
from passgate.core.policy import Policy
from passgate.proxy.refusals import Surface


@dataclass(frozen=True, slots=True)
class World:
    """One configuration in force. A reload makes another and swaps the reference.

    `strict` forwards only what is durably on record. `allow_reads` lets GET, HEAD and OPTIONS pass
    unrecorded while the log cannot be written. `judged_body_bytes` bounds a body that rules read.
    `assertion_audience` is whom signed assertions are for, None where there are none. The
    constraints are as authored, for telling a holder what is owed; `shelf` has the signed catalogs.
    """

    policy: Policy
    name: str
    surface: Surface
    strict: bool
    allow_reads: bool
    judged_body_bytes: int
    assertion_audience: str | None
    gate_constraints: Mapping[str, Any]
    issuer_constraints: Mapping[str, Mapping[str, Any]]
    shelf: Shelf = NO_SHELF
