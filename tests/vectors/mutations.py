"""Whatever can be done to a good credential, generated: the table of mutations.

Each row is (what was done, the credential, the reason codes that may answer). Everything that is
signed is signed by the right key unless the row says otherwise, so that it is the change alone that
refuses.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

from tests.craft import CLAIMS, HEADER, OTHER_SEED, b64, compact_json, raw_credential, sign_parts
from tests.vectors.chains import below, bound, root, seed_of

from passgate.core.verification import MAX_CREDENTIAL_BYTES

Row = tuple[str, str, frozenset[str]]

SHAPE = frozenset({"passport_malformed", "passport_unsupported"})
TOO_LARGE = frozenset({"passport_too_large"})
SIGNATURE = frozenset({"signature_invalid"})
FOREIGN = frozenset({"signature_invalid", "key_unknown", "issuer_unknown"})
CHAIN = frozenset(
    {"chain_invalid", "chain_widened", "chain_too_deep", "signature_invalid", "key_unknown"}
    | {"passport_malformed", "passport_unsupported"}
)

VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "a number": 7,
    "a negative number": -1,
    "a fraction": 1.5,
    "a huge number": 10**400,
    "an exponent": 1e300,
    "an empty text": "",
    "a text": "x",
    "a control character": "a\x00b",
    "half a surrogate pair": "\ud800",
    "257 octets": "x" * 257,
    "an empty list": [],
    "a list of itself": [[[["x"]]]],
    "an empty object": {},
    "an object": {"a": 1},
    "nested deep": json.loads("[" * 60 + "]" * 60),
}
# What a claim may be among those values: texts and numbers that are as good as any, and members
# that decide nothing.
FINE = {
    ("iss", "a text"),  # another issuer, which is not a matter of shape
    ("exp", "a number"),  # an expired passport, likewise
    ("aud", "a text"),
    ("sub", "a text"),
    ("jti", "a text"),
    ("iat", "a number"),
    ("nbf", "a number"),
    ("permissions", "an empty list"),
    ("metadata", "an empty object"),
    ("metadata", "an object"),
    ("constraints", "an empty object"),
    ("constraints", "an object"),  # of an unknown constraint, which refuses what it applies to
    ("catalogs", "an empty object"),
    ("grants", "an empty list"),
    ("may_delegate", "true"),
    *(("agent_name", name) for name, value in VALUES.items() if isinstance(value, str)),
    *(("trust_tier", name) for name, value in VALUES.items() if isinstance(value, str)),
}
OPTIONAL: dict[str, Any] = {
    "nbf": CLAIMS["iat"],
    "aud": "gate_lab",
    "agent_name": "a",
    "trust_tier": "L2",
    "metadata": {},
    "constraints": {},
    "catalogs": {},
    "grants": [],
    "may_delegate": False,
    "cnf": None,
    "chain": None,
    "status": None,
}


def header_rows() -> Iterator[Row]:
    """Each member of the header absent, of every other type, and twice; members that are new."""
    for member in HEADER:
        rest = {name: value for name, value in HEADER.items() if name != member}
        if member != "typ":
            yield f"header without {member}", _credential(rest, CLAIMS), SHAPE
        for name, value in VALUES.items():
            if (member, name) != ("kid", "a text"):
                yield (
                    f"header {member} as {name}",
                    _credential({**rest, member: value}, CLAIMS),
                    SHAPE,
                )
        twice = compact_json(HEADER)[:-1] + b',"%b":"x"}' % member.encode()
        yield f"header {member} twice", raw_credential(twice, compact_json(CLAIMS)), SHAPE
    for member in (
        "crit",
        "jku",
        "jwk",
        "x5u",
        "x5c",
        "x5t",
        "b64",
        "cty",
        "zip",
        "enc",
        "epk",
        "",
    ):
        yield f"header with {member!r}", _credential({**HEADER, member: ["x"]}, CLAIMS), SHAPE


def claim_rows() -> Iterator[Row]:
    """Each claim absent where it is compulsory, of every other type, twice; claims that are new."""
    for claim in CLAIMS:
        rest = {name: value for name, value in CLAIMS.items() if name != claim}
        yield f"without {claim}", _credential(HEADER, rest), SHAPE
        twice = compact_json(CLAIMS)[:-1] + b',"%b":%b}' % (
            claim.encode(),
            compact_json(CLAIMS[claim]),
        )
        yield f"{claim} twice, the same", raw_credential(compact_json(HEADER), twice), SHAPE
    for claim in (*CLAIMS, *OPTIONAL):
        for name, value in VALUES.items():
            if (claim, name) in FINE or (
                claim in ("iss", "exp") and name in ("a text", "a number")
            ):
                continue
            if claim == "aud" and name in ("a text", "257 octets"):
                continue
            yield f"{claim} as {name}", _credential(HEADER, {**CLAIMS, claim: value}), SHAPE
    for claim in ("", "ISS", "iss ", "scope", "act", "azp", "roles", "__proto__", "sub\x00"):
        yield f"a claim {claim!r}", _credential(HEADER, {**CLAIMS, claim: "x"}), SHAPE


def signature_rows() -> Iterator[Row]:
    """Every octet of the signature flipped, every bit of one, cut, zero, exchanged, by others."""
    good = _credential(HEADER, CLAIMS)
    head, body, tail = good.split(".")
    octets = base64.urlsafe_b64decode(tail + "==")
    for place in range(64):
        flipped = octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]
        yield f"octet {place} of the signature", f"{head}.{body}.{b64(flipped)}", SIGNATURE
    for bit in range(8):
        flipped = octets[:31] + bytes([octets[31] ^ (1 << bit)]) + octets[32:]
        yield f"bit {bit} of R's last octet", f"{head}.{body}.{b64(flipped)}", SIGNATURE
    # S + L is the same to verifiers that do not ask for S < L (RFC 8032 section 5.1.7).
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(octets[32:], "little") + order
    again = octets[:32] + s.to_bytes(32, "little")
    yield "S beyond the order of the group", f"{head}.{body}.{b64(again)}", SIGNATURE
    for name, other in (("zeros", bytes(64)), ("ones", b"\xff" * 64), ("itself", octets[::-1])):
        yield f"a signature of {name}", f"{head}.{body}.{b64(other)}", SIGNATURE
    for size in (0, 1, 63, 65, 128):
        yield f"{size} octets of signature", f"{head}.{body}.{b64((octets * 2)[:size])}", SHAPE
    wider = b64(compact_json({**CLAIMS, "permissions": ["*"]}))
    yield "other claims under it", f"{head}.{wider}.{tail}", SIGNATURE
    other = b64(compact_json({**HEADER, "typ": "JWT"}))
    yield "another header under it", f"{other}.{body}.{tail}", SIGNATURE
    yield "by another's key", sign_parts(head, body, OTHER_SEED), FOREIGN
    foreign = {**CLAIMS, "iss": "iss_other"}
    yield "of an issuer with no such key", _credential(HEADER, foreign), FOREIGN


def encoding_rows() -> Iterator[Row]:
    """The same octets spelt otherwise, white space, other alphabets, and joined otherwise."""
    good = _credential(HEADER, CLAIMS)
    head, body, tail = good.split(".")
    for name, text in (
        ("a space before", " " + good),
        ("a space after", good + " "),
        ("a newline inside", head + ".\n" + body + "." + tail),
        ("padding", ".".join((head, body, tail + "=="))),
        ("the other alphabet", good.replace("-", "+").replace("_", "/") + "+"),
        ("a dot more", good + "."),
        ("a dot less", head + body + "." + tail),
        ("twice", good + good),
        ("in quotes", f'"{good}"'),
        ("percent-encoded", good.replace(".", "%2e")),
        ("unused bits", head + "." + body + "." + tail[:-1] + chr(ord(tail[-1]) + 1)),
        ("no payload", f"{head}..{tail}"),
        ("no header", f".{body}.{tail}"),
        ("JSON serialization", json.dumps({"payload": body, "protected": head, "signature": tail})),
    ):
        yield name, text, SHAPE
    start = compact_json(CLAIMS)[:-1] + b',"metadata":'
    for name, payload in (
        ("UTF-16", json.dumps(CLAIMS).encode("utf-16")),
        ("a byte order mark", b"\xef\xbb\xbf" + compact_json(CLAIMS)),
        ("no UTF-8", compact_json(CLAIMS)[:-1] + b',"metadata":{"a":"\xff"}}'),
        ("a comment", compact_json(CLAIMS) + b"//x"),
        ("a comma at the end", compact_json(CLAIMS)[:-1] + b",}"),
        ("two objects", compact_json(CLAIMS) * 2),
        ("a list", b"[" + compact_json(CLAIMS) + b"]"),
        ("NaN", compact_json(CLAIMS)[:-1] + b',"metadata":{"a":NaN}}'),
        ("a leading zero", compact_json(CLAIMS)[:-1] + b',"metadata":{"a":01}}'),
        ("nested 65 deep", start + b'{"a":' + b"[" * 65 + b"]" * 65 + b"}}"),
        ("nested 10,000 deep", start + b"[" * 10_000 + b"]" * 10_000 + b"}"),
        ("a number of 10,000 digits", start + b'{"a":' + b"9" * 10_000 + b"}}"),
        ("a name twice by an escape", compact_json(CLAIMS)[:-1] + b',"\\u0069ss":"iss_lab"}'),
    ):  # fmt: skip
        yield f"payload: {name}", raw_credential(compact_json(HEADER), payload), SHAPE


def size_rows() -> Iterator[Row]:
    """64 KiB and one more."""
    yield "64 KiB and one more", _sized(MAX_CREDENTIAL_BYTES + 1), TOO_LARGE
    yield "16 MiB", "A" * (16 << 20), TOO_LARGE


def largest() -> str:
    """A credential of exactly 64 KiB, which is as large as passes."""
    return _sized(MAX_CREDENTIAL_BYTES)


def chain_rows() -> Iterator[Row]:
    """Every order of three links, each left out, repeated, exchanged, or taken from elsewhere."""
    top = root()
    second = below(top, permissions=["api:*"], **bound("a"))
    third = below(top, second, by="a", sub="agent-7/a/b", jti="pass_b", **bound("b"))
    links = (top, second, third)
    last = {"by": "b", "sub": "agent-7/a/b/c", "jti": "pass_c"}
    other = below(root(jti="pass_other"), permissions=["api:*"], **bound("a"))
    for name, chain in (
        ("reversed", links[::-1]),
        ("the first two exchanged", (second, top, third)),
        ("the last two exchanged", (top, third, second)),
        ("rotated", (third, top, second)),
        ("the root left out", links[1:]),
        ("the middle left out", (top, third)),
        ("the last left out", (top, second)),
        ("the root twice", (top, *links)),
        ("the last twice", (*links, third)),
        ("another's middle", (top, other, third)),
        ("another root", (root(jti="pass_other"), second, third)),
        ("itself as a parent", (*links, below(*links, **last))),
        ("a flipped root", (_flipped(top), second, third)),
        ("a flipped middle", (top, _flipped(second), third)),
        ("rubbish among them", (top, "x.y.z", third)),
        ("an empty one", (top, "", third)),
    ):
        yield f"chain: {name}", below(*chain, **last), CHAIN
    for by in ("root", "a", "thief"):
        yield f"chain: signed by {by}", below(*links, **{**last, "by": by}), CHAIN
    yield "chain: a middle nobody's key signed", below(
        top, below(top, by="thief", permissions=["api:*"], **bound("a")), by="a",
        sub="agent-7/a/b", jti="pass_b",
    ), CHAIN  # fmt: skip
    assert seed_of("root") != seed_of("a")


def rows() -> list[Row]:
    """The whole table."""
    return [
        *header_rows(),
        *claim_rows(),
        *signature_rows(),
        *encoding_rows(),
        *size_rows(),
        *chain_rows(),
    ]


def _credential(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return raw_credential(_json(header), _json(claims))


def _json(value: Any) -> bytes:
    # ASCII escapes, since half a surrogate pair has no octets of its own.
    return json.dumps(value, separators=(",", ":")).encode()


def _flipped(text: str) -> str:
    place = len(text) // 2
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def _sized(size: int) -> str:
    """A good credential of exactly this many octets."""
    for alg in ("EdDSA", "Ed25519"):  # a length that is 1 beyond a multiple of 4 encodes nothing
        header = {**HEADER, "alg": alg}
        least = _credential(header, {**CLAIMS, "metadata": {"a": ""}})
        for length in range((size - len(least)) * 3 // 4 - 4, (size - len(least)) * 3 // 4 + 4):
            made = _credential(header, {**CLAIMS, "metadata": {"a": "x" * length}})
            if len(made) == size:
                return made
    raise AssertionError(f"no credential has {size} octets")
