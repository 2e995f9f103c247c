"""The request target has one reading: a canonical path and a raw query, or it is refused.

What is judged is what is forwarded: the bytes stay as they came, and only targets that servers
cannot read in two ways get that far.
"""

import re
from typing import Final, NamedTuple

from passgate.core.hosts import split_authority
from passgate.core.reasons import Refusal

# The common case in one match: origin form, no escapes, no `;`, no segment that begins with a dot.
# Possessive quantifiers, so that no target makes it try twice.
_CLEAN: Final = re.compile(
    rb"((?:/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*+)++/?+|/)"
    rb"(?:\?([\x21\x22\x24-\x5b\x5d-\x7e]*+))?"
)
# RFC 3986 sections 3.3 and 3.4; the query as generous as clients are, without `#` and `\`.
_PATH: Final = re.compile(rb"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*+)++")
_QUERY: Final = re.compile(rb"[\x21\x22\x24-\x5b\x5d-\x7e]*+")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)(/[^#]*)", re.IGNORECASE)
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")

_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)
_PLAIN: Final = _UNRESERVED | frozenset(b"!$&'()*+,;=:@")
# An escaped slash, backslash or control character is a separator or an end to some servers.
_NEVER_ESCAPED: Final = frozenset((*range(0x20), 0x7F, *b"/\\"))


def _malformed(detail: str) -> Refusal:
    return Refusal("request_malformed", detail)


_BAD_FORM: Final = _malformed("The request target is not in origin form.")
_BAD_AUTHORITY: Final = _malformed("The request target names another host than the Host header.")
_BAD_CHARACTER: Final = _malformed(
    "The request target holds a character that must be percent-encoded, or a broken escape."
)
_BAD_ESCAPE: Final = _malformed("The path holds an encoded slash, backslash or control character.")
_BAD_SEGMENT: Final = _malformed("The path holds an empty, `.` or `..` segment.")
_BAD_ENCODING: Final = _malformed("The path is not UTF-8.")


class Target(NamedTuple):
    """The judged `path`, the `query` as sent without its `?`, and the target to forward."""

    path: str
    query: bytes
    forward: bytes


def read_target(
    target: bytes, method: str, authority: tuple[str, int | None] | None
) -> Target | Refusal:
    """The one reading of a request target (RFC 9112 section 3.2), or `request_malformed`.

    Origin form; absolute form only with the `authority` of the Host header, forwarded in origin
    form; `*` only for OPTIONS. In the judged path escapes of unreserved characters are decoded
    once and other escapes are in upper case. Refused in a path: whatever is not allowed there
    unescaped, escaped slashes, backslashes and control characters, empty segments but the last,
    segments that are `.` or `..` after decoding or after cutting at `;`, and what is not UTF-8.
    """
    clean = _CLEAN.fullmatch(target)
    if clean is not None:
        path, query = clean.groups(b"")
        return Target(path.decode("ascii"), query, target)
    if target[:1] != b"/":
        if target == b"*" and method == "OPTIONS":
            return Target("*", b"", target)
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            return _BAD_FORM
        if not _same_authority(absolute[1].decode("latin-1"), target[:5].lower(), authority):
            return _BAD_AUTHORITY
        target = absolute[2]
    raw, _, query = target.partition(b"?")
    if _QUERY.fullmatch(query) is None:
        return _BAD_CHARACTER
    path_or_refusal = judge_path(raw)
    if isinstance(path_or_refusal, Refusal):
        return path_or_refusal
    return Target(path_or_refusal, query, target)


def _same_authority(text: str, scheme: bytes, authority: tuple[str, int | None] | None) -> bool:
    named = split_authority(text)
    if named is None or authority is None or named[0] != authority[0]:
        return False
    default = 443 if scheme == b"https" else 80
    return (named[1] or default) == (authority[1] or default)


def judge_path(raw: bytes) -> str | Refusal:
    """The judged path of a raw one, as `read_target` says."""
    if _PATH.fullmatch(raw) is None:
        return _BAD_CHARACTER
    judged = raw
    decoded = raw
    if b"%" in raw:
        codes = {int(code, 16) for code in _ESCAPE.findall(raw)}
        if codes & _NEVER_ESCAPED:
            return _BAD_ESCAPE
        judged = _ESCAPE.sub(_decode_unreserved, raw)
        decoded = _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), raw)
        try:
            decoded.decode("utf-8")
        except UnicodeDecodeError:
            return _BAD_ENCODING
    segments = decoded[1:].split(b"/")
    last = len(segments) - 1
    for index, segment in enumerate(segments):
        bare = segment.partition(b";")[0]
        if bare in (b".", b"..") or (not bare and (index < last or segment)):
            return _BAD_SEGMENT
    return judged.decode("ascii")


def _decode_unreserved(match: re.Match[bytes]) -> bytes:
    code = int(match[1], 16)
    return bytes((code,)) if code in _UNRESERVED else match[0].upper()


def plain_path(path: str) -> str:
    """A judged path in which everything that needs no escape in a path has none.

    Servers that decode a path before they route it see no difference between the two.
    """
    if "%" not in path:
        return path
    return _ESCAPE.sub(_decode_plain, path.encode("ascii")).decode("ascii")


def _decode_plain(match: re.Match[bytes]) -> bytes:
    code = int(match[1], 16)
    return bytes((code,)) if code in _PLAIN else match[0]


def without_parameters(path: str) -> str:
    """A path with each segment cut at its first `;`, as servers with matrix parameters route it."""
    if ";" not in path:
        return path
    return "/".join([segment.partition(";")[0] for segment in path.split("/")])
