"""Every "no" of the gate: its code, status, OAuth error word and sentence.

The numbers are those of the checks in `docs/concepts/checks.md`. Nothing outside this table is
ever answered as a reason, and nothing branches on the sentence.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One row of the table.

    `check` is the number of the check that gives it (0: outside the order), `status` the HTTP
    status, `oauth` the `error` word of RFC 6750 section 3.1 for `WWW-Authenticate` ("" for none).
    """

    code: str
    check: int
    status: int
    oauth: str
    title: str


_ROWS = (
    Reason("request_malformed", 1, 400, "invalid_request", "The request is malformed or ambiguous."),
    Reason("action_unknown", 2, 404, "", "This request is no action that the gate knows."),
    Reason("passport_missing", 3, 401, "", "A passport is needed here and none was presented."),
    Reason("passport_ambiguous", 3, 400, "invalid_request", "More than one credential was presented."),
    Reason("passport_unknown", 3, 401, "invalid_token", "No passport is known by that reference."),
    Reason("passport_malformed", 4, 401, "invalid_token", "The credential is not a well-formed passport."),
    Reason("passport_unsupported", 4, 401, "invalid_token", "The passport needs a feature that this gate does not have."),
    Reason("passport_too_large", 4, 401, "invalid_token", "The credential is larger than the gate reads."),
    Reason("issuer_unknown", 5, 401, "invalid_token", "The passport's issuer is not known here."),
    Reason("issuer_untrusted", 5, 401, "invalid_token", "The passport's issuer is not trusted for this."),
    Reason("issuer_revoked", 5, 401, "invalid_token", "The passport's issuer has been revoked."),
    Reason("key_unknown", 6, 401, "invalid_token", "The passport names a key that its issuer does not have."),
    Reason("signature_invalid", 6, 401, "invalid_token", "The passport's signature does not verify."),
    Reason("passport_expired", 7, 401, "invalid_token", "The passport has expired."),
    Reason("passport_not_yet_valid", 7, 401, "invalid_token", "The passport is not valid yet."),
    Reason("passport_lifetime", 7, 401, "invalid_token", "The passport lives longer than this gate accepts."),
    Reason("audience_mismatch", 8, 401, "invalid_token", "The passport was issued for another audience."),
    Reason("passport_revoked", 9, 401, "invalid_token", "The passport has been revoked."),
    Reason("trust_stale", 9, 503, "", "What the gate knows of this issuer is too old to decide by."),
    Reason("killed", 9, 403, "", "The operator of this gate has stopped this."),
    Reason("chain_invalid", 10, 401, "invalid_token", "The passports of the chain do not belong together."),
    Reason("chain_widened", 10, 401, "invalid_token", "A passport in the chain permits more than its parent."),
    Reason("chain_too_deep", 10, 401, "invalid_token", "The chain has more links than the gate follows."),
    Reason("proof_missing", 11, 401, "invalid_token", "The passport is bound to a key, and nothing proves that its holder has it."),
    Reason("proof_invalid", 11, 401, "invalid_dpop_proof", "The proof of possession is not one for this request."),
    Reason("proof_replayed", 11, 401, "invalid_dpop_proof", "The proof of possession has been used already."),
    Reason("catalog_mismatch", 12, 403, "", "The passport is pinned to another catalog."),
    Reason("action_not_in_catalog", 12, 403, "", "The catalog does not offer this action."),
    Reason("permission_denied", 13, 403, "insufficient_scope", "The passport does not permit this action."),
    Reason("action_blocked", 13, 403, "insufficient_scope", "A grant of the passport blocks this action."),
    Reason("constraint_violated", 14, 403, "insufficient_scope", "A constraint forbids this request."),
    Reason("constraint_unknown", 14, 403, "insufficient_scope", "The passport holds a constraint that this gate cannot enforce."),
    Reason("rate_limited", 14, 429, "", "Too many requests for now."),
    Reason("budget_exhausted", 14, 403, "insufficient_scope", "The budget does not cover this request."),
    Reason("concurrency_limited", 14, 429, "", "Too many requests at the same time."),
    Reason("approval_required", 15, 403, "insufficient_scope", "A person must approve this request first."),
    Reason("approval_denied", 15, 403, "insufficient_scope", "This request was not approved."),
    Reason("idempotency_conflict", 16, 422, "", "Another request has been made with this idempotency key."),
    Reason("ledger_unavailable", 16, 503, "", "The gate cannot count this request now."),
    Reason("upstream_unreachable", 17, 502, "", "The service behind the gate cannot be reached."),
    Reason("upstream_bad_response", 17, 502, "", "The service behind the gate answered something unusable."),
    Reason("upgrade_unsupported", 17, 501, "", "The service behind the gate is spoken to without upgrades."),
    Reason("upstream_timeout", 17, 504, "", "The service behind the gate did not answer in time."),
    Reason("log_unavailable", 0, 503, "", "The gate cannot keep its record now."),
    Reason("overloaded", 0, 503, "", "The gate has no room for another request now."),
    Reason("internal_error", 0, 500, "", "Something unforeseen happened; nothing was forwarded."),
)  # fmt: skip

REASONS: dict[str, Reason] = {row.code: row for row in _ROWS}
"""Every reason by its code, in the order of the checks."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A "no" to one request: why, and what the agent may be told about it.

    `detail` is one sentence that is safe for anyone to read. `status` overrides the reason's own
    only where HTTP has a more exact one (413, 414, 415, 421, 431). `wants_nonce` has the answer give
    a nonce for the next proof (RFC 9449 section 9).
    """

    code: str
    detail: str = ""
    constraint: str = ""
    retry_after_s: int | None = None
    required_permissions: tuple[str, ...] = ()
    status: int = 0
    wants_nonce: bool = False

    @property
    def reason(self) -> Reason:
        """The row of the table that this refusal names."""
        return REASONS[self.code]

    @property
    def http_status(self) -> int:
        """The status to answer with."""
        return self.status or REASONS[self.code].status
