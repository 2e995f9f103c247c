"""Options `--constraint KEY=VALUE`, VALUE being JSON or else a text."""

from typing import Any

from passgate.cli.exits import WRONG_USE, fail


def read_constraints(options: list[str]) -> dict[str, Any]:
    """The constraints that `--constraint KEY=VALUE` options give; ends the command for bad ones."""
    constraints: dict[str, Any] = {}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals or not key:
            fail(f"--constraint is KEY=VALUE, unlike {option!r}", WRONG_USE)
        if key in constraints:
            fail(f"--constraint {key} is given twice; a list is written as JSON", WRONG_USE)
        constraints[key] = _value(key, text)
    return constraints


def _value(key: str, text: str) -> Any:
    """The JSON that `text` is, else `text` itself."""
    import json

    from passgate.core import strict_json

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    try:
        strict_json.loads(text.encode())
    except ValueError as error:
        fail(f"the value of --constraint {key} has no one reading: {error}", WRONG_USE)
    return value
