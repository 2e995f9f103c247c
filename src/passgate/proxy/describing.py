"""What the record tells of a request that was judged: by whom, for what, at which price."""

from typing import Any, Final

from passgate.core.decision import Plan
from passgate.core.policy import Policy
from passgate.core.request import Request
from passgate.proxy.priced import note_fee
from passgate.proxy.rewriting import told
from passgate.record import Record

_MAX_CONTENT_TYPE: Final = 256


def describe(
    record: Record, plan: Plan, policy: Policy, request: Request, certificate: str
) -> None:
    """Puts everything that the plan knows into the record.

    `record.at` is when it was judged, `certificate` the name in the client's certificate, if any.
    """
    record.action = plan.action
    record.charges = plan.charges
    record.once = plan.once
    record.evaluated = plan.evaluated
    facts: dict[str, Any] = {}
    route = plan.route
    if route is not None:
        record.route = plan.action
        if route.redact:
            record.target = route.redacted(record.target)
        facts["route"] = route.name
    passport = plan.passport
    if passport is not None:
        issuer = plan.issuer
        record.access_mode = "passport"
        record.passport = passport
        record.passport_hash = passport.digest
        if passport.principal is not None:
            facts["principal"] = passport.principal.subject
            if passport.principal.levels:
                facts["assurance"] = passport.principal.levels
        if issuer is not None:
            record.tier = issuer.tier
            record.trust_age_s = int(issuer.age_at(record.at))
    else:
        record.access_mode = plan.access
        if plan.credential:
            record.passport_hash = plan.credential_digest()
    catalog = policy.catalog
    if catalog is not None:
        record.catalog = catalog.content_hash
        record.catalog_version = catalog.version
        if passport is not None and passport.kept_pins:
            pin = passport.kept_pins.get(policy.gate_id)
            if pin is not None and pin.content_hash in catalog.older:
                facts["terms"] = pin.content_hash
    declared = plan.facts
    record.cost_cents = declared.cost_cents
    if declared.amount is not None:
        digits, scale = declared.amount
        facts["amount"] = f"{digits}e-{scale}" if scale else str(digits)
    if route is not None and route.declares:
        for name in ("vendor", "resource", "domain", "currency"):
            text = getattr(declared, name)
            if text is not None:
                # What the route hides of the path is not told here either.
                facts[name] = "{redacted}" if route.hides(name) else text
    content_type = request.sorted.content_type
    if content_type:
        # As long as a type can sensibly be: nobody else decides how long lines are.
        facts["content_type"] = content_type[:_MAX_CONTENT_TYPE].decode("latin-1")
    if request.body is not None:
        facts["body_bytes"] = len(request.body)
    if plan.findings:
        facts["personal_data"] = told(plan.findings)
    if certificate:
        facts["client_certificate"] = certificate
    record.facts = facts
    if plan.terms.fee_basis_points:
        note_fee(record, plan.terms)
