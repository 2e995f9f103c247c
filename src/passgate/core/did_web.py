"""`did:web`: a name that is a place, and the document there that says which keys speak for it.

Only keys that the document names for assertions count (`assertionMethod`): those are what it signs
statements about others with. Keys for logins or for encryption are there for something else.
"""

import re
from typing import Any

from passgate.core import strict_json
from passgate.core.jwks import written
from passgate.core.jws import encode_base64url
from passgate.core.multikey import read_multikey

DID_WEB = "did:web:"

MAX_DOCUMENT_BYTES = 256 * 1024
"""The largest DID document that is read."""

_MAX_METHODS = 1000
# No upper case: hosts would be equal that are not the same text. No escapes but that of the port.
_DID = re.compile(
    r"did:web:(?P<host>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*)"
    r"(?:%3A(?P<port>[1-9][0-9]{0,4}))?(?P<path>(?::[A-Za-z0-9_-][A-Za-z0-9._-]*)*)",
    re.ASCII,
)
_NUMERIC = re.compile(r"(?:[0-9.]+|.*\.[0-9]+)", re.ASCII)
# Of these only `id`, `verificationMethod` and `assertionMethod` are about what is signed.
_MEMBERS = frozenset(
    {
        "@context",
        "id",
        "alsoKnownAs",
        "controller",
        "verificationMethod",
        "authentication",
        "assertionMethod",
        "keyAgreement",
        "capabilityInvocation",
        "capabilityDelegation",
        "service",
    }
)
_METHOD_MEMBERS = frozenset({"@context", "id", "type", "controller", "revoked"})
_KEY_MEMBER = {
    "JsonWebKey2020": "publicKeyJwk",
    "JsonWebKey": "publicKeyJwk",
    "Multikey": "publicKeyMultibase",
}


def document_url(did: str) -> str:
    """Where the document of a `did:web` is, always by https (did:web method, section 2.5.2).

    Raises `ValueError` for what is none: an address instead of a host, another spelling of one.
    """
    match = _DID.fullmatch(did)
    if match is None or len(did) > 256 or _NUMERIC.fullmatch(match["host"]):
        raise ValueError(
            "must be did:web:HOST or did:web:HOST%3APORT, with :NAME for each part of a path"
        )
    port = "" if match["port"] is None else f":{match['port']}"
    path = match["path"].replace(":", "/") or "/.well-known"
    return f"https://{match['host']}{port}{path}/did.json"


def read_did_document(raw: bytes, did: str) -> bytes:
    """The JWKS of what the DID document `raw` of `did` names for assertions.

    A key goes by the `kid` of its JWK, else by its method's whole id (`did:web:…#…`). Read are
    methods of the types JsonWebKey2020 and JsonWebKey (with any key that a JWKS may hold) and
    Multikey (Ed25519), controlled by `did` itself; one with `revoked` is left out. Raises
    `ValueError` with a sentence for a document that is not `did`'s or holds anything else for
    assertions.
    """
    try:
        document = strict_json.loads(raw)
    except ValueError:
        raise ValueError("the DID document is not unambiguous JSON") from None
    if type(document) is not dict or document.get("id") != did:
        raise ValueError("the DID document is of another `id` than the one asked")
    if not document.keys() <= _MEMBERS:
        raise ValueError("the DID document has a member that the gate does not know")
    methods: dict[str, dict[str, Any]] = {}
    for method in _listed(document, "verificationMethod"):
        name = _id_of(method, did)
        if name in methods:
            raise ValueError("the DID document has two verification methods of one id")
        methods[name] = method
    keys: dict[str, dict[str, Any]] = {}
    for entry in _listed(document, "assertionMethod"):
        name = _absolute(entry, did) if type(entry) is str else _id_of(entry, did)
        method = methods.get(name) if type(entry) is str else entry
        if method is None:
            raise ValueError("the DID document names a method for assertions that it does not hold")
        if name in keys or (type(entry) is not str and name in methods):
            raise ValueError("the DID document has two verification methods of one id")
        keys[name] = _key_of(method, name, did)
    return written({"keys": [jwk for jwk in keys.values() if jwk]})


def _listed(document: dict[str, Any], member: str) -> list[Any]:
    value = document.get(member, [])
    if type(value) is not list or len(value) > _MAX_METHODS:
        raise ValueError(f"the DID document's `{member}` is not a list of at most {_MAX_METHODS}")
    return value


def _id_of(method: Any, did: str) -> str:
    if type(method) is not dict:
        raise ValueError("the DID document has a verification method that is no object")
    return _absolute(method.get("id"), did)


def _absolute(name: Any, did: str) -> str:
    """The whole id of a method of `did` itself."""
    if type(name) is str:
        whole = did + name if name.startswith("#") else name
        if whole.startswith(did + "#") and len(whole) > len(did) + 1:
            return whole
    raise ValueError("the DID document has a verification method whose id is not its own")


def _key_of(method: dict[str, Any], name: str, did: str) -> dict[str, Any]:
    """The JWK of a method with its `kid`; empty for one that is revoked."""
    kind = method.get("type")
    member = _KEY_MEMBER.get(kind) if type(kind) is str else None
    if member is None:
        raise ValueError(
            f"the DID document has a key for assertions that is none of {', '.join(_KEY_MEMBER)}"
        )
    if not method.keys() <= _METHOD_MEMBERS | {member}:
        # `expires` too: a key set has no room for an end that nobody would be told of.
        raise ValueError("the DID document has a key with a member that the gate does not know")
    if method.get("controller") != did:
        raise ValueError("the DID document has a key for assertions that another controls")
    if "revoked" in method:  # from when on does not matter: what was withdrawn is not trusted
        return {}
    key = method.get(member)
    if member == "publicKeyJwk":
        if type(key) is not dict or not key:
            raise ValueError("the DID document has a `publicKeyJwk` that is no object")
        return {"kid": name, **key}
    try:
        octets = read_multikey(key if type(key) is str else "")
    except ValueError:
        raise ValueError(
            "the DID document has a `publicKeyMultibase` that is not of a sound Ed25519 key"
        ) from None
    x = encode_base64url(octets).decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": name}
