"""Structured fields: what signatures need of them, and nothing that has two readings."""

import pytest

from passgate.core.structured import MAX_MEMBERS, read_dictionary


def test_lists_octets_and_parameters_come_out() -> None:
    """RFC 9651: each kind that occurs, with the text that a signature is over."""
    text = ' a=("x" "y";b;c="\\"\\\\");n=-7;s="t";o=:AQID:;f=?0,\tb=:AQID:;p=?1 , c=(), d=::'

    read = read_dictionary(text)

    assert list(read) == ["a", "b", "c", "d"]
    items = read["a"].items
    assert items is not None
    assert [(each.value, each.parameters) for each in items] == [
        ("x", {}),
        ("y", {"b": True, "c": '"\\'}),
    ]
    assert read["a"].parameters == {"n": -7, "s": "t", "o": b"\1\2\3", "f": False}
    assert read["a"].text == '("x" "y";b;c="\\"\\\\");n=-7;s="t";o=:AQID:;f=?0'
    assert (read["b"].octets, read["b"].parameters) == (b"\1\2\3", {"p": True})
    assert (read["c"].items, read["d"].octets) == ([], b"")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a=",
        "a=1",
        "a=token",
        'a="x"',
        "a=?1",
        "a=:AQ:",
        "a=:A-_:",
        "a=:AQ==",
        "a=:AQ =:",
        "a=:AQID",
        "a=(",
        'a=("x',
        'a=("x"',
        'a=("x"  "y")',
        'a=("x""y")',
        'a=( "x")',
        'a=("x" )',
        'a=("\\x")',
        'a=("ä")',
        'a=("\t")',
        "a=(x)",
        "a=(1)",
        "a=();",
        "a=();A=1",
        "a=();b=",
        "a=();b=x",
        "a=();b=1.5",
        "a=();b=1234567890123456",
        "a=();b=-",
        "a=();b=?2",
        "a=();b=1;b=2",
        "a=(), a=()",
        "a=(),",
        "a=(),,b=()",
        "a=() b=()",
        "A=()",
        "a =()",
        "a= ()",
        ",a=()",
        "a=()\n",
        "".join(f"k{n}=()," for n in range(MAX_MEMBERS)) + "z=()",
        "a=()" + "".join(f";p{n}" for n in range(17)),
        "a=(" + " ".join(['"x"'] * 65) + ")",
        "a=" + '("' + "x" * 1025 + '")',
        "k" * 65 + "=()",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    """Kinds that have no place here, broken grammar, what stands twice, and what has no end."""
    with pytest.raises(ValueError, match=r"dictionary|list|parameter|byte sequence"):
        read_dictionary(text)
