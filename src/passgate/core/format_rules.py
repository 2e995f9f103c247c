"""The table of what formats differ in once they are read: who signs a chain, and what binds it."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from passgate.core.csp_chain import judge_csp_chain
from passgate.core.delegation import judge_chain
from passgate.core.formats.base import Unverified
from passgate.core.reasons import Refusal
from passgate.core.signatures import signed_by_holders, signed_by_issuers
from passgate.core.trust import Issuer, Trust


class FormatRules(NamedTuple):
    """One row: `signed` is check 6 of a passport and its chain, `judge_chain` check 10 of a chain.

    `judge_chain` gets the links root first and leaf last, at least two. It is asked only about what
    `signed` has nothing against.
    """

    signed: Callable[[Unverified, Issuer, Trust], Refusal | None]
    judge_chain: Callable[[Sequence[Unverified]], Refusal | None]


def _found_while_read(links: Sequence[Unverified]) -> Refusal | None:
    """What the reader had against a chain whose links stand in one another, and kept until now."""
    return links[-1].flaw


RULES: Final[dict[str, FormatRules]] = {
    "jwt": FormatRules(signed_by_holders, judge_chain),
    "envelope": FormatRules(signed_by_holders, _found_while_read),
    "csp": FormatRules(signed_by_issuers, judge_csp_chain),
}
"""The rules of each format by its name in the configuration."""
