"""The table of mutations: whatever is done to a good credential ends in its reason code."""

import pytest
from tests.craft import NOW, credential, trust
from tests.vectors.mutations import FINE, Row, largest, rows

from passgate.core.passport import Passport
from passgate.core.reasons import Refusal
from passgate.core.verification import Acceptance, check_times, verify
from passgate.core.verified_cache import VerifiedCache

TABLE = rows()


@pytest.mark.parametrize("row", TABLE, ids=[name for name, _, _ in TABLE])
def test_a_mutation_ends_in_its_reason_code(row: Row) -> None:
    """Whatever is cached of the good one."""
    name, text, expected = row
    cache = VerifiedCache()
    assert isinstance(verify(credential(), trust(), Acceptance(), cache), Passport)

    found = verify(text, trust(), Acceptance(), cache)
    if isinstance(found, Passport):
        found = found.flaw or check_times(found, NOW, 30.0, 90 * 86_400.0) or found

    assert isinstance(found, Refusal), name
    assert found.code in expected, name
    assert len(cache) == 1 or "chain" in name


def test_the_table_is_large_and_names_each_row_once() -> None:
    """A generator that yields nothing proves nothing."""
    names = [name for name, _, _ in TABLE]

    assert len(names) == len(set(names)) >= 500
    assert FINE


def test_what_the_table_calls_as_large_as_passes_does() -> None:
    """So that the row beyond it is about the one octet."""
    assert isinstance(verify(largest(), trust(), Acceptance()), Passport)
