"""What a configuration takes from outside: `${VAR}` in scalars, and secrets by reference.

No value that came from outside ever stands in a sentence that this module makes.
"""

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from passgate.config.model import Secret

MAX_SECRET_BYTES = 64 * 1024

_VARIABLE = re.compile(r"\$(\$?)\{([^{}$]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """`text` with `${VAR}` and `${VAR:-default}` replaced, once; `$${VAR}` stays `${VAR}`.

    The default stands for a variable that is not set or empty, and cannot hold another variable.
    Raises `ValueError` for one that is not set and has no default, and for what is no variable.
    """

    def value_of(found: re.Match[str]) -> str:
        escaped, inner, closing = found.groups()
        if not closing:
            raise ValueError("a ${ has no matching }: write ${NAME} or ${NAME:-default}")
        if escaped:
            return f"${{{inner}}}"
        name, has_default, default = inner.partition(":-")
        if not _NAME.fullmatch(name):
            raise ValueError("a variable is written ${NAME} or ${NAME:-default}")
        value = environ.get(name, "")
        if not value and has_default:
            return default
        if name not in environ:
            raise ValueError(f"the environment has no {name}: set it or write ${{{name}:-default}}")
        if _CONTROL.search(value):
            raise ValueError(f"the environment's {name} holds a control character")
        return value

    return _VARIABLE.sub(value_of, text)


def unread_secret(reference: str) -> Secret:
    """What `reference` names, without looking: its value is "". Raises `ValueError` for no notation
    of a secret.
    """
    kind, colon, rest = reference.partition(":")
    if not colon or kind not in {"env", "file"} or not rest:
        raise ValueError("must be env:NAME or file:PATH: a secret is not written here")
    return Secret(reference, "")


def read_secret(reference: str, base: Path, environ: Mapping[str, str]) -> Secret:
    """The secret that `env:NAME` or `file:PATH` names; a relative path starts at `base`.

    One final line break of a file is not part of the secret. Raises `ValueError` for any other
    notation (a secret has no place in gate.yaml), for one that is missing, empty, longer than
    64 KiB, or holds anything but printable ASCII, which is all that a header can carry.
    """
    kind, _, rest = unread_secret(reference).reference.partition(":")
    if kind == "env":
        if rest not in environ:
            raise ValueError(f"cannot be read: the environment has no {rest}")
        value, where = environ[rest], f"the environment's {rest}"
    else:
        path = base / rest
        value, where = _secret_of_file(path), f"the file {path}"
    if not value:
        raise ValueError(f"cannot be used: {where} is empty")
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise ValueError(f"cannot be used: {where} must hold one line of printable ASCII")
    return Secret(reference, value)


def open_to_others(reference: str, base: Path) -> bool:
    """Whether `reference` is a file that others than its owner and group may read."""
    kind, _, rest = reference.partition(":")
    return kind == "file" and bool((base / rest).stat().st_mode & stat.S_IROTH)


def _secret_of_file(path: Path) -> str:
    try:
        # A device or a pipe would block or never end; a secret is a file.
        if not path.is_file():
            raise ValueError(f"cannot be read: there is no file {path}")
        with path.open("rb") as file:
            raw = file.read(MAX_SECRET_BYTES + 1)
        if len(raw) > MAX_SECRET_BYTES:
            raise ValueError(
                f"cannot be used: {path} is larger than {MAX_SECRET_BYTES // 1024} KiB"
            )
        text = raw.decode("ascii")
    except OSError as error:
        raise ValueError(f"cannot be read: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"cannot be used: {path} must hold one line of printable ASCII") from None
    return text.removesuffix("\n").removesuffix("\r")
