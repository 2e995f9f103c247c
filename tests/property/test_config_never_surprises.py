"""Whatever a gate.yaml holds, it loads or is refused in sentences; nothing else comes out."""

import string
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from passgate.config import build_issuers, build_policy, load_config
from passgate.config.effective import effective_yaml
from passgate.config.environment import expand
from passgate.config.keys import KEYS
from passgate.config.problems import Problems
from passgate.config.yaml_loader import Broken, plain_value, read_yaml, resolve_plain
from passgate.errors import ConfigError

SECRET = "never to be shown"
ENVIRON = {"A": "x", "EMPTY": "", "SECRET": SECRET}


def load(raw: bytes) -> None:
    """Loads, and shows that only the two allowed outcomes exist."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "gate.yaml"
        file.write_bytes(raw)
        try:
            loaded = load_config(file, ENVIRON)
        except ConfigError as error:
            problems = error.problems
        else:
            build_policy(loaded.config)
            build_issuers(loaded.config)
            shown = effective_yaml(loaded.config)
            assert SECRET not in shown + repr(loaded)
            file.write_text(shown)
            again = load_config(file, ENVIRON).config
            assert again.effective == loaded.config.effective
            return
        assert problems
        lines = raw.count(b"\n") + raw.count(b"\r") + 2
        for problem in problems:
            assert problem.isprintable()
            name, line, sentence = problem.split(":", 2)
            assert name == str(file)
            assert 1 <= int(line) <= lines
            assert sentence.startswith(" ")
            assert SECRET not in problem


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"%YAML 1.99999999999999999999999\n---\n")
@example(b"%TAG ! tag:x:\n---\na: !b c\n")
@example(b'"\\xZZ"')
@example(b'"\\U00110000"')
def test_no_bytes_surprise(raw: bytes) -> None:
    """Random bytes are problems or a configuration."""
    load(raw)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@`#,? \n\t~<$\\1.\x85\u2028é\U0001f600", max_size=60))
@example("a: ${A}\n? [b]\n: - c\n")
@example("${A: 1")
def test_no_punctuation_surprises(text: str) -> None:
    """Texts made of what YAML is made of are problems or a configuration."""
    load(text.encode())


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.sampled_from(
        ["${A}", "${EMPTY}", "${NONE}", "$${A}", "env:SECRET", "file:x", "30s", "1MiB", "*", "a:*"]
    ),
    st.sampled_from(["http://h", "https://h", "unix:/s", "GET /", "body:/a", "10.0.0.0/8", "L1"]),
)
_NAMES = st.sampled_from(sorted({name for row in KEYS for name in row.path.split(".")}))
_VALUES = st.recursive(
    _SCALARS,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3),
        st.dictionaries(st.one_of(_NAMES, st.text(max_size=4)), inside, max_size=4),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([row.path for row in KEYS]), _VALUES, max_size=5))
@example({"admin.token": "env:SECRET", "admin.metrics_token": "${SECRET}"})
@example({"constraints": {"core:rate:max_per_minute": None, "": 1}})
@example({"catalog.file": "."})
def test_no_structure_surprises(values: dict[str, Any]) -> None:
    """Any value under any key of the table is a problem or a configuration."""
    document: dict[str, Any] = {
        "upstream": {"url": "http://h"},
        "anonymous": {"enabled": True},
    }
    for path, value in values.items():
        section: Any = document
        *parents, name = path.replace("[]", "").split(".")
        for parent in parents:
            inside = section.get(parent)
            if not isinstance(inside, dict):
                inside = section[parent] = {}
            section = inside
        section[name] = value
    if isinstance(document.get("issuers"), dict):
        document["issuers"] = [document["issuers"]]
    actions = document.get("actions")
    if isinstance(actions, dict) and isinstance(actions.get("routes"), dict):
        actions["routes"] = [actions["routes"]]
    load(yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass"))


@given(st.text(alphabet=string.printable, max_size=20))
def test_a_plain_scalar_is_a_text_or_shows_as_it_was_written(text: str) -> None:
    """No plain scalar changes its value by being read: what is no text is its own notation."""
    try:
        value = resolve_plain(text)
    except ValueError:
        return
    if isinstance(value, bool):
        assert text == str(value).lower()
    elif isinstance(value, int):
        assert text in (str(value), "-0")
    elif isinstance(value, float):
        assert float(text) == value
    elif value is None:
        assert text in ("", "~", "null")
    else:
        assert value == text


@given(st.text(max_size=30))
def test_what_a_variable_holds_is_one_scalar(value: str) -> None:
    """No value of a variable makes a second key, a list, a section, or null of a scalar."""
    problems = Problems("f")
    node = read_yaml(b"k: ${V}\nq: '${V}'\n", problems, expand=lambda t: expand(t, {"V": value}))
    if isinstance(node, Broken) or len(problems):
        return
    found = plain_value(node)
    assert found.keys() == {"k", "q"}
    assert found["q"] == value
    assert found["k"] is not None
    assert not isinstance(found["k"], (list, dict))
