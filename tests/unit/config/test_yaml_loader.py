"""YAML is read strictly: nothing becomes what nobody wrote."""

from typing import Any

import pytest

from passgate.config.problems import Problems
from passgate.config.yaml_loader import (
    MAX_BYTES,
    MAX_DEPTH,
    Mapping,
    Scalar,
    plain_value,
    read_yaml,
    resolve_plain,
)
from passgate.errors import ConfigError


def read(text: str | bytes, **options: Any) -> Any:
    """The plain value of a text without any problem."""
    problems = Problems("f")
    node = read_yaml(text if isinstance(text, bytes) else text.encode(), problems, **options)
    problems.raise_if_any()
    return plain_value(node)


def problems_of(text: str | bytes, **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, **options)
    return caught.value.problems


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-0", 0),
        ("42", 42),
        ("-7", -7),
        ("9007199254740991", 2**53 - 1),
        ("1.5", 1.5),
        ("-0.25", -0.25),
    ],
)
def test_the_few_plain_scalars_have_their_type(written: str, value: object) -> None:
    """null, true, false, decimal integers and plain decimals are what they look like."""
    result = read(f"k: {written}\n")["k"]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "written",
    [
        *("no", "No", "off", "yes", "on", "y", "n", "True", "FALSE", "Null", "NULL"),
        *("014", "0o14", "0x1F", "0b11", "1_000", "+5", "1:30", "190:20:30", "00", "-01"),
        *("1e3", "1.5e3", "1.", ".5", ".inf", "-.inf", ".nan", "1_0.5", "12.30.1", "01.5"),
        *("2026-01-01", "2026-01-01T10:00:00Z", "=", "٣", "1٣"),
    ],
)
def test_everything_else_is_text(written: str) -> None:
    """Words, octal, hex, sexagesimal, dates and the like are the texts that they are."""
    assert read(f"k: {written}\n") == {"k": written}


def test_a_number_that_a_float_would_round_stays_text() -> None:
    """Nobody's money is a hair more or less than what was written."""
    assert resolve_plain("0.10") == 0.1
    assert resolve_plain("900719925474.91") == 900719925474.91
    assert resolve_plain("1.0000000000000001") == "1.0000000000000001"
    assert resolve_plain("90071992547409.91") == "90071992547409.91"


def test_quoted_scalars_are_text() -> None:
    """Quotes, folding and literal blocks always make text."""
    assert read("a: '5'\nb: \"null\"\nc: |\n  5\nd: ''\n") == {
        "a": "5",
        "b": "null",
        "c": "5\n",
        "d": "",
    }


def test_json_is_read_too() -> None:
    """A JSON text gives the same value, surrogate pairs joined."""
    assert read('{"a": [1, "x\\u00e9", "\\ud83d\\ude00"], "b": {"c": null}}') == {
        "a": [1, "xé", "😀"],
        "b": {"c": None},
    }


def test_an_empty_file_is_an_empty_section() -> None:
    """Nothing, or comments alone, is a section without keys, not a surprise."""
    assert read("# nothing\n") == {}
    assert read("\ufeff# a byte order mark\na: 1\n") == {"a": 1}
    assert read("%YAML 1.2\n---\na: 1\n") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3: the key 'a' stands in line 1 already"),
        ("a: {x: 1, x: 1}\n", "f:1: the key 'x' stands in line 1 already"),
        ("a: 1\n'a': 2\n", "f:2: the key 'a' stands in line 1 already"),
        ("a: &x 1\n", "f:1: anchors are not allowed: remove &x"),
        ("a: [&x 1]\n", "f:1: anchors are not allowed: remove &x"),
        ("&x a: 1\n", "f:1: anchors and tags are not allowed: write the key 'a' alone"),
        ("a: *x\n", "f:1: aliases are not allowed: write the value of *x out"),
        ("*x : 1\n", "f:1: aliases are not allowed: write the value of *x out"),
        ("<<: {a: 1}\n", "f:1: merge keys are not allowed: write the values out"),
        ("'<<': {a: 1}\n", "f:1: merge keys are not allowed: write the values out"),
        (
            "a: !!python/object/apply:os.system [id]\n",
            "f:1: tags are not allowed: remove 'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        ("a: !!str 5\n", "f:1: tags are not allowed: remove 'tag:yaml.org,2002:str'"),
        ("a: ! 5\n", "f:1: tags are not allowed: remove '!'"),
        ("a: !%1b[2J 5\n", "f:1: tags are not allowed: remove '!\\x1b[2J'"),
        ("!!str a: 5\n", "f:1: anchors and tags are not allowed: write the key 'a' alone"),
        ("true: 1\n", "f:1: the key true is no text: put it in quotes"),
        ("5: 1\n", "f:1: the key 5 is no text: put it in quotes"),
        ("99999999999999999999: 1\n", "f:1: the key 99999999999999999999 is no text: put it in "),
        ("'': 1\n", "f:1: a key must not be empty"),
        ("?\n: 1\n", "f:1: a key must not be empty"),
        ("[a]: 1\n", "f:1: a key must be a text"),
        ("{a: b}: 1\n", "f:1: a key must be a text"),
        ('"a\\eb": 1\n', "f:1: a key must not hold control characters"),
        ("a: 1\n---\nb: 2\n", "f:2: the file must hold one document; a second one begins here"),
        ("%YAML 1.1\n---\na: no\n", "f:1: this file must be YAML 1.2"),
        ("a: 9007199254740992\n", "f:1: a number is at most 9007199254740991: put a text"),
        ("a: " + "9" * 5000, "f:1: a number is at most 9007199254740991: put a text in quotes"),
        ("a: 1." + "9" * 5000, "f:1: a number has at most 18 characters: put a text in quotes"),
        ("a: 1\nb: [1\n", "f:3: this is not YAML: while parsing a flow sequence"),
        ("a:\n\t- 1\n", "f:2: this is not YAML: while scanning for the next token"),
        ('a: 1\nb: "\\uD800"\n', "f:2: half of a surrogate pair is no character"),
        (b"a: 1\nb: \xff\n", "f:2: this is not UTF-8"),
        ("a: 1\n".encode("utf-16"), "f:1: this is not UTF-8"),
        ("a: 1 # \u2028mode: x\n", "f:1: write U+2028 as an escape in quotes"),
        ("a: 1\n# \x85mode: x\n", "f:2: write U+0085 as an escape in quotes"),
        ("a: 1\r\nb: 2\r\nc: \x00\n", "f:3: the character"),
        ('a: "\\UFFFFFFFF"\n', "f:1: this is not YAML"),
    ],
)
def test_what_could_surprise_is_refused(text: str | bytes, problem: str) -> None:
    """Each construct that has a second reading, or is YAML 1.1 alone, is a problem at its line."""
    found = problems_of(text)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_every_problem_is_found_at_once() -> None:
    """Reading goes on after a problem that leaves the structure clear."""
    assert problems_of("a: &x 1\nb: *x\nc: !!int 1\nc: 2\n") == [
        "f:1: anchors are not allowed: remove &x",
        "f:2: aliases are not allowed: write the value of *x out",
        "f:3: tags are not allowed: remove 'tag:yaml.org,2002:int'",
        "f:4: the key 'c' stands in line 3 already",
    ]


def test_the_file_is_bounded() -> None:
    """Nesting and size are bounded before anything is built from them."""
    deep = "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)
    assert problems_of(f"a: {deep}") == ["f:1: nothing may be nested deeper than 32 levels"]
    bomb = "[" * 100_000
    assert problems_of(bomb) == ["f:1: nothing may be nested deeper than 32 levels"]
    assert read(f"a: {deep[1:-1]}")["a"]
    assert problems_of(b"#" * (MAX_BYTES + 1)) == ["f:1: the file is larger than 1024 KiB"]


def test_every_node_knows_its_line() -> None:
    """Keys, items and values carry the line that they stand in."""
    problems = Problems("f")
    node = read_yaml(b"a: 1\nb:\n  - x\n  -\n    y\nc:\n  d: 2\n", problems)
    assert isinstance(node, Mapping)
    assert node.key_lines == {"a": 1, "b": 2, "c": 6}
    sequence = node.entries["b"]
    assert [item.line for item in sequence.items] == [3, 5]  # type: ignore[union-attr]  # it is one
    assert node.entries["a"] == Scalar(1, 1, "1")


def test_what_expanding_gives_stays_one_scalar() -> None:
    """A variable can become a number or a bool, never null, a list, a section, or a comment."""
    values = {"N": "256", "T": "true", "E": "", "L": "[a, b]", "S": "k: v # x", "Q": "null"}

    def expand(text: str) -> str:
        return values[text[2:-1]]

    text = "".join(f"{name}: ${{{name}}}\n" for name in values) + "quoted: '${N}'\n"
    assert read(text, expand=expand) == {
        "N": 256,
        "T": True,
        "E": "",
        "L": "[a, b]",
        "S": "k: v # x",
        "Q": "null",
        "quoted": "256",
    }
    assert problems_of("${N}: 1\n", expand=expand) == ["f:1: a key cannot hold ${...}"]
    assert read("a: ${N}\n") == {"a": "${N}"}


def test_problems_of_another_file_carry_its_name() -> None:
    """A file that is read for another one is named in its problems."""
    assert problems_of("a: *x\n", file="catalog.yaml")[0].startswith("catalog.yaml:1: ")
