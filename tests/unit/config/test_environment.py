"""What comes from outside comes whole, or is named as missing, and is never shown."""

from pathlib import Path

import pytest

from passgate.config.environment import expand, open_to_others, read_secret

ENVIRON = {"HOST": "api.internal", "EMPTY": "", "REFERS": "${HOST}", "LINES": "a\nb: c"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${HOST}", "api.internal"),
        ("http://${HOST}:80/${HOST}", "http://api.internal:80/api.internal"),
        ("${NONE:-fallback}", "fallback"),
        ("${NONE:-}", ""),
        ("${EMPTY:-fallback}", "fallback"),
        ("${EMPTY}", ""),
        ("${HOST:-fallback}", "api.internal"),
        ("${NONE:-a:-b}", "a:-b"),
        ("$${HOST}", "${HOST}"),
        ("$HOST costs 5$", "$HOST costs 5$"),
        ("${REFERS}", "${HOST}"),
    ],
)
def test_variables_are_replaced_once(text: str, value: str) -> None:
    """${VAR} and ${VAR:-default} are replaced, and what they give is not looked at again."""
    assert expand(text, ENVIRON) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("${NONE}", "the environment has no NONE: set it or write ${NONE:-default}"),
        ("${HOST", "a ${ has no matching }: write ${NAME} or ${NAME:-default}"),
        ("${}", "a variable is written ${NAME} or ${NAME:-default}"),
        ("${a b}", "a variable is written ${NAME} or ${NAME:-default}"),
        ("${HOST-x}", "a variable is written ${NAME} or ${NAME:-default}"),
        ("${A:-${HOST}}", "a ${ has no matching }: write ${NAME} or ${NAME:-default}"),
        ("${LINES}", "the environment's LINES holds a control character"),
    ],
)
def test_what_cannot_be_replaced_is_refused(text: str, sentence: str) -> None:
    """A missing variable, a half notation and a value of several lines are said, not guessed."""
    with pytest.raises(ValueError, match=r".") as caught:
        expand(text, ENVIRON)
    assert str(caught.value) == sentence


def test_a_secret_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    """The value is there for the gate, and nowhere in what can be printed."""
    (tmp_path / "s").write_text("s3cret\n")
    for secret in (
        read_secret("env:S", tmp_path, {"S": "s3cret"}),
        read_secret("file:s", tmp_path, {}),
        read_secret(f"file:{tmp_path / 's'}", Path("/"), {}),
    ):
        assert secret.value == "s3cret"
        assert "s3cret" not in f"{secret} {secret!r}"


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("s3cret", "must be env:NAME or file:PATH: a secret is not written here"),
        ("plain:s3cret", "must be env:NAME or file:PATH: a secret is not written here"),
        ("env:", "must be env:NAME or file:PATH: a secret is not written here"),
        ("env:NONE", "cannot be read: the environment has no NONE"),
        ("env:EMPTY", "cannot be used: the environment's EMPTY is empty"),
        ("env:LINES", "cannot be used: the environment's LINES must hold one line of"),
        ("env:SPACE", "cannot be used: the environment's SPACE must hold one line of"),
        ("env:UMLAUT", "cannot be used: the environment's UMLAUT must hold one line of"),
        ("file:none", "cannot be read: there is no file"),
        ("file:.", "cannot be read: there is no file"),
        ("file:empty", "cannot be used: the file"),
        ("file:binary", "cannot be used: "),
        ("file:large", "cannot be used: "),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_not_shown(
    tmp_path: Path, reference: str, sentence: str
) -> None:
    """Why is said; what it holds is not."""
    environ = {**ENVIRON, "SPACE": "s3cret ", "UMLAUT": "s3crét"}
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"s3cret\xff")
    (tmp_path / "large").write_text("s3cret" * 20_000)
    with pytest.raises(ValueError, match=r".") as caught:
        read_secret(reference, tmp_path, environ)
    assert str(caught.value).startswith(sentence)
    assert "s3cr" not in str(caught.value)


def test_a_file_that_everyone_may_read_is_seen(tmp_path: Path) -> None:
    """Only files can be open to others, and only with that bit."""
    secret = tmp_path / "s"
    secret.write_text("x")
    secret.chmod(0o644)
    assert open_to_others("file:s", tmp_path)
    secret.chmod(0o640)
    assert not open_to_others("file:s", tmp_path)
    assert not open_to_others("env:S", tmp_path)
