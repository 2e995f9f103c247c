"""Whether a URL is the one that a request was sent to, as its sender wrote it."""

import re
from typing import Final

from passgate.core.hosts import split_authority
from passgate.core.reasons import Refusal
from passgate.core.request import Request
from passgate.core.target import judge_path

_URL: Final = re.compile(r"(https?)://([^/?#\\]*)(/[^?#]*)?", re.IGNORECASE)
_PORTS: Final = {"http": 80, "https": 443}


def is_addressed(url: str, request: Request, public_url: str | None) -> bool:
    """Whether `url`, which has neither query nor fragment, is that of `request`.

    Compared are scheme, host, port and path in their normal forms (RFC 3986 section 6.2.2 and
    6.2.3); the origin is `public_url` where the gate has one, else that of the connection.
    """
    asked = _parts(url)
    if asked is None:
        return False
    origin = _parts(public_url or f"{request.scheme}://{request.authority}")
    return origin is not None and asked[:3] == origin[:3] and asked[3] == request.path


def _parts(url: str) -> tuple[str, str, int, str] | None:
    match = _URL.fullmatch(url) if url.isascii() else None
    if match is None:
        return None
    scheme = match[1].lower()
    authority = split_authority(match[2])
    path = judge_path((match[3] or "/").encode("ascii"))
    if authority is None or isinstance(path, Refusal):
        return None
    return scheme, authority[0], authority[1] or _PORTS[scheme], path
