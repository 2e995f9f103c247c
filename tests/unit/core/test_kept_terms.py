"""Kept terms: what a passport that is pinned to an older catalog costs, and owes, end to end."""

from typing import Any

import pytest
from tests.craft import CHILD, OTHER_KEY, OTHER_SEED, THUMBPRINT, credential, jwk_of
from tests.support.decisions import Scene, catalog, verdict

from passgate.core.catalog import Catalog
from passgate.core.decision import decide
from passgate.core.verified_cache import VerifiedCache

OLD = "sha256:" + "1" * 64
NEW = "sha256:" + "2" * 64
PRICE = "core:pricing:per_call_cents"
PER_MINUTE = "core:rate:max_per_minute"


def versions(*, min_version: int = 0) -> Catalog:
    """Two versions: the newer one is dearer and stricter."""
    old = catalog("api:search", search={PRICE: 5, PER_MINUTE: 9}).entries
    new = catalog("api:search", search={PRICE: 8, PER_MINUTE: 3}).entries
    first = Catalog(old, OLD, 1)
    return Catalog(new, NEW, 2, older={OLD: first}, min_version=min_version)


def scene(version: int = 0, content_hash: str = "", **more: Any) -> Scene:
    """A request whose passport is pinned so, or not at all."""
    pin = {"gate_a": {"version": version, "content_hash": content_hash}}
    claims = {"catalogs": pin} if version else {}
    return Scene(catalog=versions()).but(claims=claims, **more)


@pytest.mark.parametrize(
    ("version", "content_hash", "cents"), [(0, "", 8), (1, OLD, 5), (2, NEW, 8)]
)
def test_the_price_is_that_of_the_pin(version: int, content_hash: str, cents: int) -> None:
    """Whoever agreed to an older version pays its price; everybody else the newest."""
    plan = scene(version, content_hash).decide()
    assert plan.refusal is None
    assert plan.facts.cost_cents == cents
    assert [charge.limit for charge in plan.charges] == [3]


def test_what_is_explained_is_what_is_decided() -> None:
    """`explain` has the same price and the same charges for a kept pin."""
    kept = scene(1, OLD)
    plan, told = kept.decide(), kept.explain().plan
    assert told.facts.cost_cents == plan.facts.cost_cents == 5
    assert told.charges == plan.charges


def test_publishing_changes_the_next_decision_of_a_cached_passport() -> None:
    """What was worked out for a passport under one catalog is not used under another."""
    here = scene()
    request, trust, cache, now = here.good_request(), here.trust(), VerifiedCache(), here.now
    for _ in range(3):
        before = decide(request, here.policy(), trust, now, cache)
    later = here.but(catalog=catalog("api:search", search={PRICE: 1}))
    after = decide(request, later.policy(), trust, now, cache)
    assert (before.facts.cost_cents, after.facts.cost_cents) == (8, 1)


def delegated(root: tuple[int, str] | None, own: tuple[int, str] | None) -> Scene:
    """A request with a passport below another one, each pinned so or not at all."""
    above, below = (
        {} if pin is None else {"catalogs": {"gate_a": {"version": pin[0], "content_hash": pin[1]}}}
        for pin in (root, own)
    )
    parent = {"jti": "pass_root", "permissions": ["api:*"], "may_delegate": True, **above}
    held = credential({**parent, "cnf": {"jwk": jwk_of(OTHER_KEY)}})
    return Scene(
        claims={**CHILD, "permissions": ["api:*"], "chain": [held], **below},
        jose={"kid": THUMBPRINT},
        seed=OTHER_SEED,
        catalog=versions(),
    )


@pytest.mark.parametrize(
    ("root", "own", "cents"),
    [
        *((None, None, 8), (None, (2, NEW), 8)),
        *(((1, OLD), None, 5), ((1, OLD), (1, OLD), 5), ((2, NEW), None, 8)),
    ],
)
def test_a_child_has_the_terms_of_its_root(
    root: tuple[int, str] | None, own: tuple[int, str] | None, cents: int
) -> None:
    """Whoever delegates hands on the price that they agreed to."""
    plan = delegated(root, own).decide()
    assert plan.refusal is None
    assert plan.facts.cost_cents == cents


@pytest.mark.parametrize(
    ("root", "own"), [(None, (1, OLD)), ((2, NEW), (1, OLD)), ((1, OLD), (2, NEW))]
)
def test_no_holder_chooses_its_price(root: tuple[int, str] | None, own: tuple[int, str]) -> None:
    """A child is signed by its parent's holder, who could pin it to whatever was cheapest."""
    scene = delegated(root, own)
    assert verdict(scene.judge()) == "catalog_mismatch"
    found = [row for row in scene.explain().checks if row.outcome == "refused"]
    assert [row.number for row in found] == [12]
