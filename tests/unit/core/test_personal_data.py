"""Personal data: found where numbers prove it, hidden so that nothing of it is left."""

import json
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.core.header_rules import header_rules
from passgate.core.judged_body import Number, judge_body
from passgate.core.personal_data import HIDDEN, UNEXAMINED, examine, redacted
from passgate.core.personal_spans import CARD, EMAIL, IBAN, MOST_LOOKED_AT, SSN
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request

CARDS = ["4111111111111111", "5555 5555 5555 4444", "3782-822463-10005", "2221000000000009"]
IBANS = ["DE89370400440532013000", "gb82 west 1234 5698 7654 32", "NO93 8601 1117 947"]
MAILS = [f"p{number}@example.org" for number in range(6)]

_PLAIN = canonical_request(
    Wire("POST", b"/", [(b"Host", b"a"), (b"Content-Type", b"application/json")], "192.0.2.1"),
    RequestRules(header_rules()),
)


def read(raw: str) -> Any:
    assert isinstance(_PLAIN, Request)
    value = judge_body(raw.encode(), _PLAIN.sorted)
    assert not isinstance(value, Refusal), value
    return value


def found(value: Any) -> dict[str, int]:
    return dict(examine(read(json.dumps(value))).found)


def hidden(value: Any) -> Any:
    document = read(json.dumps(value))
    written = redacted(document, examine(document))
    assert written is not None
    return json.loads(written)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        *((card, {CARD: 1}) for card in CARDS),
        *((iban, {IBAN: 1}) for iban in IBANS),
        ("no536-90-4399.", {SSN: 1}),
        ("4111111111111111 5555555555554444", {CARD: 2}),
        ("room 12 4111111111111111 3", {CARD: 1}),
        ("card:4111\u00a01111\u00a01111\u00a01111", {CARD: 1}),
        ("GB82 WEST 1234 5698 7654 32 and thanks", {IBAN: 1}),
        ("write to a.b+c@mail.example.org, please", {EMAIL: 1}),
        ("a@b.example,c@b.example", {EMAIL: 2}),
        ("", {}),
        ("4111111111111112", {}),
        ("411111111111", {}),
        ("41111111111111111116 1", {}),
        ("2220000000000000", {}),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", {}),
        ("0.4111111111111111", {}),
        (".4111111111111111", {CARD: 1}),
        ("0.5 4111111111111111", {CARD: 1}),
        ("0000000000000000", {}),
        ("536-90-43990", {}),
        ("666-12-3456", {}),
        ("078-05-1120", {}),
        ("XX82 WEST 1234 5698 7654 32", {}),
        ("GB82 WEST 1234", {}),
        ("GB82WEST12345698765433", {}),
        ("FR7630006000011234567890180", {}),
        ("me@localhost, @example.org, a@, a@-", {}),
        ("a @b.example", {}),
    ],
)
def test_what_a_text_holds(text: str, kinds: dict[str, int]) -> None:
    """Check digits, ranges and lengths decide, wherever it stands."""
    assert found(text) == kinds
    assert found({"a": [text]}) == kinds


def test_a_country_s_own_structure_is_asked_too() -> None:
    """Letters where a country's account numbers have digits are no IBAN, though modulo 97 fits."""
    letters = next(
        text
        for text in (f"DE{check:02}ABCDEFGH0532013000" for check in range(2, 99))
        if int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97 == 1
    )

    assert found(letters) == {}


def test_an_iban_inside_another_is_part_of_it() -> None:
    """What begins like one within one that was found is not looked at again."""
    inner = "2004101005 DE12ABCDEFG06"
    plain = inner.replace(" ", "") + "FR00"
    check = 98 - int("".join(str(int(sign, 36)) for sign in plain)) % 97

    assert found(f"FR{check:02}{inner} 1234567890") == {IBAN: 1}


def test_names_and_numbers_are_looked_at_too() -> None:
    """A member's name, and a number that no float could hold, are read as written."""
    assert found({"4111111111111111": None}) == {CARD: 1}
    assert found({"a": 4111111111111111}) == {CARD: 1}
    assert not examine(read("[4111111111111111.0, 0.4111111111111111, 4e15, true]")).found
    assert found(-4111111111111111) == {}
    assert found({"ssn": "536904399", "b": "536904399"}) == {SSN: 1}
    assert found({"Social Security": [536904399, "078 05 1121", "536 90 4399"]}) == {SSN: 2}
    assert found({"ssn": "000000000"}) == {}


def test_what_is_declared_counts_with_the_body() -> None:
    """Five addresses in the body and another one declared are six."""
    document = read(json.dumps(MAILS[:5]))

    assert not examine(document).exports
    assert examine(document, (MAILS[5],)).exports
    assert not examine(document, (MAILS[0].upper(),)).exports
    assert not examine(None).found


def test_hiding_leaves_everything_else() -> None:
    """Only the data itself goes; numbers stay as they were written."""
    document = read('{"a": [1.50, 1e400, "x 4111 1111 1111 1111 y", {}, [], null, true], "b": ""}')

    assert redacted(document, examine(document)) == (
        b'{"a":[1.50,1e400,"x [redacted] y",{},[],null,true],"b":""}'
    )
    assert hidden({"a": 4111111111111111}) == {"a": HIDDEN}
    assert hidden({"ssn": 536904399}) == {"ssn": HIDDEN}
    assert hidden("ü \u2028 4111111111111111") == "ü \u2028 " + HIDDEN


def test_addresses_are_hidden_only_where_there_are_many() -> None:
    """A few people may be named; a list of them may not be."""
    card = CARDS[0]

    assert hidden([*MAILS[:5], card]) == [*MAILS[:5], HIDDEN]
    assert hidden([*MAILS, card]) == [HIDDEN] * 7


def test_no_two_members_become_one() -> None:
    """Names that are hidden stay different, also from one that was there before."""
    assert hidden({"4111111111111111": 1, "5555555555554444": 2, HIDDEN: 3}) == {
        f"{HIDDEN} 2": 1,
        f"{HIDDEN} 3": 2,
        HIDDEN: 3,
    }


def test_what_overlaps_is_hidden_as_one() -> None:
    """An address whose local part is a card number leaves nothing of either."""
    text = "4111111111111111@example.org"

    assert hidden([text, *MAILS]) == [HIDDEN] * 7
    assert hidden(["1 4111111111111111.b@example.org", *MAILS]) == ["1 " + HIDDEN] + [HIDDEN] * 6


pieces = st.sampled_from([*CARDS, *IBANS, *MAILS, "536-90-4399", "1", " ", "-", "@", "DE", "x."])
texts = st.lists(pieces, max_size=4).map("".join)
values = st.recursive(
    texts | st.integers(0, 10**19) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(values)
def test_what_was_hidden_is_gone(value: Any) -> None:
    """Whatever the body was, the new one holds nothing that a rule minds, and hides no more."""
    document = read(json.dumps(value))
    personal = examine(document)
    written = redacted(document, personal)
    assert written is not None

    again = read(written.decode())
    assert not examine(again).exports
    assert redacted(again, examine(again)) == written
    if not personal.exports:
        assert json.loads(written) == value


def test_numbers_are_judged_as_numbers() -> None:
    """A number that is left is written as it was, not as a text."""
    assert redacted([Number("1.0"), "1.0"], examine(None)) == b'[1.0,"1.0"]'


@pytest.mark.parametrize(
    "piece",
    ["4111111111111112 ", "41 ", "411-", "123-45-0000 ", "DE89370400440532013001 ", "a@b.c "],
)
@pytest.mark.parametrize("parted", [False, True])
def test_what_only_looks_like_it_has_an_end(piece: str, parted: bool) -> None:
    """Beyond so many places nobody looks: that is told, is no pass, and nothing is hidden."""
    many = MOST_LOOKED_AT + 20
    value = [piece * 40] * (many // 20) if parted else piece * many

    document = read(json.dumps(value))
    personal = examine(document)

    assert dict(personal.found)[UNEXAMINED] == 1
    assert personal.exports
    assert redacted(document, personal) is None


def test_as_many_as_are_looked_at_are_no_reason() -> None:
    """Exactly the bound is looked at whole."""
    assert found(["4111111111111112"] * MOST_LOOKED_AT) == {}


def test_hidden_names_take_no_time_by_the_square() -> None:
    """Thousands of names that are all hidden still get one each, at once."""
    document = read(json.dumps({f"536-90-{number:04}": 1 for number in range(1, 9_000)}))
    personal = examine(document)

    began = process_time()
    written = redacted(document, personal)

    assert process_time() - began < 2
    assert written is not None
    assert len(json.loads(written)) == 8_999


def test_what_appears_as_something_is_hidden_is_not_followed_for_ever() -> None:
    """A row of numbers of which each is found once the one before it is gone: all or nothing."""
    assert hidden(IBANS[0] * 7) == HIDDEN * 7
    document = read(json.dumps(IBANS[0] * 3_000))
    personal = examine(document)

    began = process_time()

    assert redacted(document, personal) is None
    assert process_time() - began < 2
