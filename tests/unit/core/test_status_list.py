"""Token status lists: the draft's vectors, the limits, and lists that are none."""

import base64
import json
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest

from passgate.core.status_list import (
    MAX_STATUSES,
    StatusReference,
    read_status_claims,
    unpack_statuses,
)

URI = "https://issuer.example/statuses/1"
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "status-lists.json").read_text())[
    "lists"
]


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).rstrip(b"=").decode()


def claims(**over: Any) -> dict[str, Any]:
    listed = {"bits": 1, "lst": packed(b"\x02")}
    made = {"sub": URI, "iat": 1_800_000_000, "status_list": listed} | over
    return {name: value for name, value in made.items() if value is not None}


@pytest.mark.parametrize("vector", VECTORS, ids=[each["name"] for each in VECTORS])
def test_the_vectors_of_the_draft(vector: dict[str, Any]) -> None:
    """Each status that a vector names, and 0 in every other place."""
    found = unpack_statuses(URI, vector["bits"], vector["lst"])
    named = dict(vector["statuses"])
    assert len(found.packed) * 8 // vector["bits"] == vector["places"]
    assert {place: found.value_at(place) for place in named} == named
    others = sum(1 for each in found.packed if each)
    assert others <= len([value for value in named.values() if value])
    for place in range(0, vector["places"], 997):
        assert found.value_at(place) == named.get(place, 0)


def test_every_status_but_0_revokes() -> None:
    """Invalid, suspended, and whatever else an issuer means by a number."""
    found = unpack_statuses(URI, 2, packed(bytes([0b11_10_01_00])))
    assert [found.revokes(StatusReference(URI, place)) for place in range(4)] == [
        False, True, True, True,
    ]  # fmt: skip


def test_a_place_that_the_list_does_not_have_is_not_covered() -> None:
    """One beyond the end, one far beyond, one of another list."""
    found = unpack_statuses(URI, 4, packed(b"\xff\xff"))
    assert [found.covers(StatusReference(URI, place)) for place in (0, 3, 4, 2**53)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert not found.revokes(StatusReference(URI, 4))
    assert not found.covers(StatusReference(URI + "2", 0))
    assert not found.revokes(StatusReference(URI + "2", 0))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_list_has_at_most_so_many_places(bits: int) -> None:
    """By the bits that it says: the same bytes are more places of fewer bits."""
    most = MAX_STATUSES * bits // 8
    assert len(unpack_statuses(URI, bits, packed(bytes(most))).packed) == most
    with pytest.raises(ValueError, match=f"more than {MAX_STATUSES} places"):
        unpack_statuses(URI, bits, packed(bytes(most + 1)))


def test_a_bomb_never_unpacks() -> None:
    """A gigabyte in a megabyte: no more than the limit comes into being."""
    packing = zlib.compressobj(9)
    bomb = b"".join([packing.compress(bytes(1 << 20)) for _ in range(1024)]) + packing.flush()
    lst = base64.urlsafe_b64encode(bomb).rstrip(b"=").decode()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than"):
            unpack_statuses(URI, 1, lst)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


GOOD = base64.urlsafe_b64decode(packed(b"\x01\x02\x03") + "==")


@pytest.mark.parametrize(
    ("bits", "lst", "words"),
    [
        (3, packed(b"\x00"), "`bits`"),
        (16, packed(b"\x00"), "`bits`"),
        (True, packed(b"\x00"), "`bits`"),
        ("1", packed(b"\x00"), "`bits`"),
        (None, packed(b"\x00"), "`bits`"),
        (1, None, "`lst`"),
        (1, ["x"], "`lst`"),
        (1, "é", "`lst`"),
        (1, "", "base64url"),
        (1, packed(b"\x00") + "==", "base64url"),
        (1, "AAAA", "zlib"),
        (1, base64.urlsafe_b64encode(zlib.compress(b"x")[2:-4]).decode().rstrip("="), "zlib"),
        (1, base64.urlsafe_b64encode(GOOD[:-1]).decode().rstrip("="), "too early"),
        (1, base64.urlsafe_b64encode(GOOD[:-1] + b"\0").decode().rstrip("="), "zlib"),
        (1, base64.urlsafe_b64encode(GOOD + b"x").decode().rstrip("="), "too late"),
    ],
)
def test_what_is_no_list_is_refused(bits: Any, lst: Any, words: str) -> None:
    """Other bits, other encodings, a cut stream, bytes behind it."""
    with pytest.raises(ValueError, match=words):
        unpack_statuses(URI, bits, lst)


def test_what_a_list_says_of_itself() -> None:
    """Times, its own address, and whom it is of."""
    told = read_status_claims(claims(iss="iss_lab", exp=1_800_000_100, ttl=60), "iss_lab", URI)
    assert (told.issued_at, told.expires_at, told.ttl_s) == (1_800_000_000, 1_800_000_100, 60)
    assert told.statuses.uri == URI
    assert told.statuses.revokes(StatusReference(URI, 1))
    bare = read_status_claims(claims(), "iss_lab", None)
    assert (bare.expires_at, bare.ttl_s) == (None, None)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"nbf": 1}, "claims"),
        ({"iss": "iss_other"}, "another issuer"),
        ({"sub": None}, "`sub`"),
        ({"sub": ""}, "`sub`"),
        ({"sub": 7}, "`sub`"),
        ({"sub": "https://issuer.example/statuses/2"}, "another address"),
        ({"iat": None}, "`iat`"),
        ({"iat": -1}, "`iat`"),
        ({"iat": 1.5}, "`iat`"),
        ({"exp": 1_800_000_000}, "`exp`"),
        ({"exp": "soon"}, "`exp`"),
        ({"ttl": 0}, "`ttl`"),
        ({"ttl": True}, "`ttl`"),
        ({"status_list": None}, "`status_list`"),
        ({"status_list": []}, "`status_list`"),
        ({"status_list": {"bits": 1, "lst": "x", "more": 1}}, "`status_list`"),
        ({"status_list": {"bits": 1, "lst": "x", "aggregation_uri": 1}}, "aggregation_uri"),
    ],
)
def test_claims_that_are_not_those_of_a_list_are_refused(over: dict[str, Any], words: str) -> None:
    """Every claim by its type; what is not known is never read over."""
    with pytest.raises(ValueError, match=words):
        read_status_claims(claims(**over), "iss_lab", URI)


def test_references_are_equal_by_what_they_name() -> None:
    """And by nothing else."""
    one = StatusReference(URI, 1)
    assert one == StatusReference(URI, 1)
    assert hash(one) == hash(StatusReference(URI, 1))
    assert one not in (StatusReference(URI, 2), StatusReference("x", 1))
    assert one != (URI, 1)
    assert repr(one) == f"StatusReference('{URI}', 1)"
