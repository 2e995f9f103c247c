"""Ed25519 by published vectors, and by all that verifiers disagree on.

`tests/vectors/wycheproof-ed25519.json` are 210 of Project Wycheproof. The gate accepts what they
call valid, refuses what they call invalid, and of the *acceptable* ones none: their keys are of
small or of mixed order, and are refused when they are loaded.

The other vectors are made here, of the same classes as C2SP CCTV's `ed25519vectors`: every pair of
a key and an `R` of small, mixed or prime order, in every encoding, whose torsion cancels or does
not, with `k` of the bytes as they stand or of the canonical ones.
"""

import json
from collections import Counter
from functools import cache
from hashlib import sha512
from pathlib import Path
from typing import NamedTuple

import pytest
from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp

from passgate.core.ed25519 import key_problem, signature_fits

WYCHEPROOF = json.loads(
    (Path(__file__).parents[2] / "vectors" / "wycheproof-ed25519.json").read_bytes()
)
WEAK = "is no point of prime order on the curve"

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
SIGN = 1 << 255
TORSION = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
SECRET, NONCE = 0x1234567890ABCDEF, 0xFEDCBA0987654321


def accepts(key: bytes, signature: bytes, message: bytes) -> bool:
    """What the gate says of a key that it loads, and of a signature under it."""
    return key_problem(key) is None and len(signature) == 64 and signature_fits(
        signature, message, key
    )  # fmt: skip


@pytest.mark.parametrize("group", WYCHEPROOF["groups"], ids=lambda group: group["key"][:8])
def test_wycheproof(group: dict[str, object]) -> None:
    """Valid is accepted, invalid refused, and what is acceptable is refused for its key."""
    key = bytes.fromhex(str(group["key"]))
    tests = group["tests"]
    assert isinstance(tests, list)
    for number, message, signature, result, flag in tests:
        accepted = accepts(key, bytes.fromhex(signature), bytes.fromhex(message))
        assert accepted is (result == "valid"), number
        if result == "acceptable":
            assert flag in {"SmallOrderPublicKey", "MixedOrderPublicKey"}, number
            assert key_problem(key) == WEAK, number


def test_wycheproof_is_whole() -> None:
    """As many of each result as were published."""
    results = Counter(row[3] for group in WYCHEPROOF["groups"] for row in group["tests"])

    assert results == {"valid": 117, "invalid": 64, "acceptable": 29}
    assert results.total() == WYCHEPROOF["count"] == 210


class Point(NamedTuple):
    """`encoded`, of the point [scalar]B + [torsion]T; `canonical` is its one right encoding."""

    encoded: bytes
    canonical: bytes
    scalar: int
    torsion: int


class Vector(NamedTuple):
    """A signature that at least one known rule of verification accepts."""

    key: Point
    r: Point
    residue: bool
    signature: bytes
    message: bytes


@cache
def torsion() -> tuple[bytes, ...]:
    """The eight points of small order, by how many times the generator they are."""
    points = [(1).to_bytes(32, "little"), TORSION]
    while len(points) < 8:
        points.append(crypto_core_ed25519_add(points[-1], TORSION))
    return tuple(points)


def points(scalar: int) -> list[Point]:
    """Every encoding of the points of small order, and [scalar]B with each of these added."""
    small = [Point(encoded, encoded, 0, index) for index, encoded in enumerate(torsion())]
    others = []
    for point in small:
        y = int.from_bytes(point.encoded, "little")
        spellings = {y}
        if y % SIGN in {0, 1}:  # y + p fits as well
            spellings.add(y + P)
        if y % SIGN in {1, P - 1}:  # x is 0, whose sign says nothing
            spellings |= {each ^ SIGN for each in tuple(spellings)}
        others += [
            Point(each.to_bytes(32, "little"), point.encoded, 0, point.torsion)
            for each in sorted(spellings - {y})
        ]
    base = crypto_scalarmult_ed25519_base_noclamp(scalar.to_bytes(32, "little"))
    mixed = [
        Point(encoded, encoded, scalar, index)
        for index, encoded in enumerate(
            base if index == 0 else crypto_core_ed25519_add(base, each)
            for index, each in enumerate(torsion())
        )
    ]
    return small + others + mixed


def vectors() -> list[Vector]:
    """One for each pair of points, each way its torsion can end, and each way to make `k`."""
    made = []
    for key in points(SECRET):
        for r in points(NONCE):
            spellings = {(r.encoded, key.encoded), (r.canonical, key.canonical)}
            for spelling in sorted(spellings):
                wanted = {False, True} if key.torsion or r.torsion else {False}
                if key.torsion == 0 and r.torsion:
                    wanted = {True}
                for number in range(500):
                    message = b"vector %d" % number
                    k = sha512(b"".join(spelling) + message).digest()
                    k_scalar = int.from_bytes(k, "little") % L
                    residue = (r.torsion + k_scalar * key.torsion) % 8 != 0
                    if residue not in wanted:
                        continue
                    wanted.discard(residue)
                    s = (r.scalar + k_scalar * key.scalar) % L
                    signature = r.encoded + s.to_bytes(32, "little")
                    made.append(Vector(key, r, residue, signature, message))
                    if not wanted:
                        break
    return made


def test_whatever_verifiers_disagree_on_is_refused() -> None:
    """Of the whole family only the ordinary signature is accepted: no part of it of small order."""
    made = vectors()
    accepted = [each for each in made if accepts(each.key.encoded, each.signature, each.message)]

    assert [(each.key.torsion, each.r.torsion) for each in accepted] == [(0, 0)]
    assert all(each.key.scalar and each.r.scalar for each in accepted)
    # Nothing of the family is missing, and none of it is refused for being made wrongly: a rule
    # without the check of keys takes those whose key alone is of mixed order.
    assert len(made) > 900
    careless = [
        each for each in made if signature_fits(each.signature, each.message, each.key.encoded)
    ]
    assert len(careless) > 40
    assert all(key_problem(each.key.encoded) == WEAK for each in careless if each not in accepted)


def test_every_key_of_small_or_mixed_order_is_refused_when_it_is_loaded() -> None:
    """Fourteen encodings of small order, seven points of mixed order; one sound key."""
    problems = Counter(key_problem(point.encoded) for point in points(SECRET))

    assert problems == {None: 1, WEAK: 17, "is not canonically encoded": 4}
