"""A passport can be made in one way."""

import dataclasses
from pathlib import Path

import pytest
from tests.craft import CLAIMS, credential, raw_credential, trust

import passgate
from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.passport import Passport
from passgate.core.verification import Acceptance, verify


def verified(text: str) -> Passport:
    passport = verify(text, trust(), Acceptance())
    assert isinstance(passport, Passport)
    return passport


def test_only_verification_makes_a_passport() -> None:
    """Without the seal, or with anything like it, construction fails."""
    fields = [field.name for field in dataclasses.fields(Passport) if field.name != "memo"]
    values = {name: getattr(verified(credential()), name) for name in fields}

    for seal in (None, object(), True):
        with pytest.raises(TypeError, match="by verifying one"):
            Passport(seal, **values)


def test_a_passport_gives_its_seal_to_nobody() -> None:
    """Neither by attribute nor by `replace` can a passport be turned into a wider one."""
    passport = verified(credential())

    assert not hasattr(passport, "seal")
    with pytest.raises((TypeError, ValueError), match="seal"):
        dataclasses.replace(passport, permissions=())  # type: ignore[call-arg]  # what is tested
    with pytest.raises(dataclasses.FrozenInstanceError):
        passport.agent = "root"  # type: ignore[misc]  # this is what is tested


def test_the_seal_is_named_in_two_files_only() -> None:
    """No other module may import what makes a passport."""
    source = Path(passgate.__file__).parent

    naming = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if "_BY_VERIFICATION" in path.read_text()
    }

    assert naming == {"core/passport.py", "core/verification.py"}


def test_claims_are_what_was_signed() -> None:
    """They are read again from the signed text, with fractions as text for the record."""
    assert verified(credential()).claims == CLAIMS
    metadata = {"score": 0.5, "list": [1.25, 3]}

    claims = verified(credential({"metadata": metadata})).claims

    assert claims["metadata"] == {"score": "0.5", "list": ["1.25", 3]}


def test_the_memo_is_no_part_of_what_a_passport_is() -> None:
    """Two verifications of one credential are equal, whatever was worked out for one of them."""
    one, two = verified(credential()), verified(credential())
    one.memo.keep("worked out", 1, 64)

    assert one == two
    assert "worked out" not in repr(one)


def test_passports_without_constraints_share_what_is_empty() -> None:
    """A hundred thousand passports in memory do not hold a hundred thousand empty sets."""
    text = raw_credential(
        b'{"alg":"EdDSA","kid":"key-1"}',
        b'{"iss":"iss_lab","sub":"a","jti":"p","iat":1,"exp":2,"permissions":["api:search"]}',
    )
    one, two = verified(credential()), verified(text)

    assert one.constraints is two.constraints is NO_CONSTRAINTS
    assert one.permissions[0] is two.permissions[0]
    assert one.pins is two.pins
    assert one.issuer is two.issuer
    assert one.permissions is two.permissions


def test_passports_with_the_same_limits_share_them() -> None:
    """What is read from equal claims, and what follows from it, is there once."""
    limits = {"core:rate:max_per_minute": 5, "core:scope:method_allowlist": ["GET"]}
    one = verified(credential({"constraints": limits, "aud": "gate_a"}))
    two = verified(credential({"constraints": limits, "aud": ["gate_a"], "jti": "pass_2"}))

    assert one.constraints is two.constraints
    assert one.audience is two.audience


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"core:rate:max_per_minute": 5}, {"core:rate:max_per_minute": 6}),
        ({"core:rate:max_per_minute": 5}, {"core:rate:max_per_hour": 5}),
        ({"lab:rule": 1}, {"lab:other": 1}),
        ({"lab:rule": 1}, {}),
    ],
)
def test_other_limits_are_never_taken_for_the_same(
    one: dict[str, object], other: dict[str, object]
) -> None:
    first = verified(credential({"constraints": one})).constraints
    second = verified(credential({"constraints": other})).constraints

    assert first != second


def test_limits_too_long_to_be_shared_are_read_each_time() -> None:
    """So that no issuer fills the memory with what is not shared."""
    vendors = {"core:scope:resource_allowlist": [f"vendor-{number}" for number in range(300)]}
    one, two = (verified(credential({"constraints": vendors})).constraints for _ in range(2))

    assert one is not two
    assert one == two
