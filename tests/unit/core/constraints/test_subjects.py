"""Counting subjects: whom a counter counts, unambiguous whatever the ids are."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.core.constraints.subjects import (
    root_of,
    subject_of_address,
    subject_of_agent,
    subject_of_catalog,
    subject_of_passport,
    subject_of_permission,
)

ids = st.text(st.characters(exclude_categories=()), max_size=12)


def test_subjects_are_named_by_their_kind_and_components() -> None:
    """The texts are those that ledgers and logs keep, so they never change."""
    assert subject_of_passport("iss_lab", "pass_1") == "passport|iss_lab|pass_1"
    assert (
        subject_of_permission("iss_lab", "pass_1", "shop:*")
        == "permission|iss_lab|pass_1|shop%3A%2A"
    )
    assert subject_of_catalog("iss_lab", "bot", "api:x") == "catalog|iss_lab|bot|api%3Ax"
    assert subject_of_agent("iss_lab", "bot/child") == "agent|iss_lab|bot%2Fchild"


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.1", "address|192.0.2.1"),
        ("::ffff:192.0.2.1", "address|192.0.2.1"),
        ("2001:db8::1", "address|2001%3Adb8%3A%3A%2F64"),
        ("2001:db8::ffff:1", "address|2001%3Adb8%3A%3A%2F64"),
        ("2001:db8:0:1::1", "address|2001%3Adb8%3A0%3A1%3A%3A%2F64"),
        ("unix", "address|unix"),
    ],
)
def test_an_address_counts_by_what_one_customer_holds(address: str, subject: str) -> None:
    """IPv4 counts by address, IPv6 by /64, a Unix socket as itself."""
    assert subject_of_address(address) == subject


def test_an_address_counts_for_each_action_apart() -> None:
    """What counts for one action has another counter than what counts for all."""
    assert subject_of_address("192.0.2.1", "api:x") == "address|192.0.2.1|api%3Ax"


@given(ids, ids, ids, ids)
def test_different_components_are_different_subjects(a: str, b: str, c: str, d: str) -> None:
    """No choice of ids makes two subjects share a text."""
    assert (subject_of_passport(a, b) == subject_of_passport(c, d)) == ((a, b) == (c, d))
    assert subject_of_agent(a, b) != subject_of_passport(a, b)
    assert subject_of_catalog(a, b, c) != subject_of_permission(a, b, c)


@given(ids, ids, ids)
def test_a_subject_fits_into_a_counter_and_a_log_line(a: str, b: str, c: str) -> None:
    """Nothing but unreserved characters, escapes and the bar that separates components."""
    for subject in (subject_of_permission(a, b, c), subject_of_address(a, b)):
        assert re.fullmatch(r"[A-Za-z0-9._~%|-]+", subject)
    assert subject_of_permission(a, b, c).count("|") == 3


def test_a_delegated_passport_is_no_other() -> None:
    """One whose issuer gave it an id that looks like a path shares nothing with a delegate's."""
    path = subject_of_passport("iss", "root/child", delegated=True)

    assert path == "delegated|iss|root%2Fchild"
    assert path != subject_of_passport("iss", "root/child")
    assert subject_of_permission("iss", "root/child", "a:*", delegated=True) == f"{path}|a%3A%2A"
    assert root_of(path) == root_of(f"{path}%2Fgrandchild|a") == "iss|root"
    assert root_of(subject_of_passport("delegated", "a/b")) == ""
    assert root_of(subject_of_agent("iss", "root/child")) == ""
