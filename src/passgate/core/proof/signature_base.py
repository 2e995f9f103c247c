"""The signature base (RFC 9421 section 2.5): the exact bytes that a message signature is over."""

from typing import Final
from urllib.parse import quote, unquote_plus

from passgate.core.hosts import split_authority
from passgate.core.request import Request
from passgate.core.structured import Item, Member

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def signature_base(covered: Member, request: Request, public_url: str | None) -> bytes | None:
    """The base of what `covered` lists, with its own text as `@signature-params`.

    None where a component stands twice, is not in the request, or asks for a form (`sf`, `key`,
    `bs`, `req`, `tr`) that a gate does not read. `public_url` is the origin that agents address.
    """
    items = covered.items
    assert items is not None
    lines: list[str] = []
    seen: set[str] = set()
    for item in items:
        name = _identifier(item)
        value = _value(item, request, public_url)
        if name in seen or value is None:
            return None
        seen.add(name)
        lines.append(f"{name}: {value}")
    lines.append(f'"@signature-params": {covered.text}')
    return "\n".join(lines).encode("latin-1")


def _identifier(item: Item) -> str:
    name = item.parameters.get("name")
    return f'"{item.value}";name="{name}"' if isinstance(name, str) else f'"{item.value}"'


def _value(item: Item, request: Request, public_url: str | None) -> str | None:
    value = item.value
    if value == "@query-param":
        name = item.parameters.get("name")
        if not isinstance(name, str) or len(item.parameters) > 1:
            return None
        return _query_parameter(request.query.decode("latin-1"), name)
    if item.parameters:
        return None
    if value.startswith("@"):
        return _derived(value, request, public_url)
    return _field(value, request)


def _derived(name: str, request: Request, public_url: str | None) -> str | None:
    """RFC 9421 section 2.2."""
    target = request.target.decode("latin-1")
    if name == "@method":
        return request.method
    if name == "@request-target":
        return target
    if name == "@path":
        return target.partition("?")[0]
    if name == "@query":
        return "?" + target.partition("?")[2]
    scheme, _, authority = (public_url or f"{request.scheme}://{request.authority}").partition(
        "://"
    )
    plain = _authority(scheme, authority)
    return {
        "@scheme": scheme,
        "@authority": plain,
        "@target-uri": f"{scheme}://{plain}{target}",
    }.get(name)


def _authority(scheme: str, authority: str) -> str:
    """In lower case, without the scheme's default port (section 2.2.3)."""
    found = split_authority(authority)
    if found is None:
        return authority.lower()
    host, port = found
    name = f"[{host}]" if ":" in host else host
    return name if port is None or port == _DEFAULT_PORTS.get(scheme) else f"{name}:{port}"


def _field(name: str, request: Request) -> str | None:
    """Section 2.1: the values of all lines of that name, trimmed and joined."""
    wanted = name.encode("latin-1")
    if name != name.lower():
        return None
    values = [
        value.strip(b" \t").decode("latin-1")
        for each, value in request.headers
        if each.lower() == wanted
    ]
    return ", ".join(values) if values else None


def _query_parameter(query: str, name: str) -> str | None:
    """Section 2.2.8: the value of the one parameter of this name, encoded anew."""
    values = []
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if _encoded(unquote_plus(key)) == name:
            values.append(value)
    return _encoded(unquote_plus(values[0])) if len(values) == 1 else None


def _encoded(text: str) -> str:
    # The WHATWG URL standard's application/x-www-form-urlencoded percent-encode set, %20 for space.
    return quote(text, safe="*-._")
