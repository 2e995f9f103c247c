"""Delegation tokens of csp-agent-passport: a JWT about a person, and about the agent that acts.

The facts are those of version 0.2.1. What its issuer never writes is refused here even where its
verifier would not look: claims that nobody enforces, `null`, fractions, an `act` that names another
agent than the token does.
"""

from typing import Any, Final

from passgate.core import strict_json
from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.csp_chain import ACTS_FOR, NO_PARENTS
from passgate.core.formats.base import ChainError, Succession, Unverified
from passgate.core.formats.jwt import MAX_DEPTH, MAX_TIME
from passgate.core.jws import (
    A_NAME,
    MAX_NAME_BYTES,
    MalformedError,
    UnsupportedError,
    decode_base64url,
    is_name,
    named,
    read,
)
from passgate.core.passport import Permission, Principal
from passgate.core.permissions import is_catch_all, is_glob
from passgate.core.presented import BESIDE
from passgate.core.reasons import Refusal

NAMESPACE: Final = "https://agent-passport.org/claims/"
"""What the names of the agent's own claims begin with."""

MAX_SCOPES: Final = 128
"""The most entries that `tool_scope` may have."""

MAX_PATTERNS: Final = 32
"""How many of them may be patterns: each name of a child is held against each of a parent's."""

ALGORITHMS: Final = frozenset({"RS256", "ES256", "EdDSA"})
"""What such a token may be signed by; csp has no other name for EdDSA."""

_BESIDE: Final = BESIDE.encode()
_TYPES: Final = frozenset({"JWT", ""})
_MARK: Final = b"agent-passport.org"
_AGENT_ID: Final = NAMESPACE + "agent_id"
_AGENT_MODEL: Final = NAMESPACE + "agent_model"
_TOOL_SCOPE: Final = NAMESPACE + "tool_scope"
_TASK_PURPOSE: Final = NAMESPACE + "task_purpose"
_PARENT_JTI: Final = NAMESPACE + "parent_jti"
_LEVELS: Final = ("ial", "aal", "fal")
_CLAIMS: Final = frozenset({
    "iss", "sub", "aud", "iat", "exp", "nbf", "jti", "act", "acr", *_LEVELS,
    _AGENT_ID, _AGENT_MODEL, _TOOL_SCOPE, _TASK_PURPOSE, _PARENT_JTI,
})  # fmt: skip
_ACTOR: Final = frozenset({"sub", "act"})


def is_csp(jws: bytes) -> bool:
    """Whether the payload of a compact JWS has a claim in csp's namespace.

    What cannot be read is said to be none: the native format's reader then says what is wrong.
    """
    try:
        payload = decode_base64url(jws.split(b".")[1])
        if _MARK not in payload:  # nearly all, and quick; an escaped one is no token of its issuer
            return False
        claims = strict_json.loads(payload)
    except ValueError:  # MalformedError is one too
        return False
    return type(claims) is dict and any(name.startswith(NAMESPACE) for name in claims)


def read_csp(credential: bytes) -> Unverified:
    """What a token says, with the parents that came beside it; nothing is believed yet.

    Raises `MalformedError` for a claim that is missing or not of its type, `UnsupportedError` for
    one that csp does not have, and `ChainError` for more parents than are followed.
    """
    leaf, beside, listed = credential.partition(_BESIDE)
    parents: list[bytes] = listed.split(b",") if beside else []
    if len(parents) > MAX_DEPTH:
        raise ChainError("chain_too_deep", f"The chain has more than {MAX_DEPTH} parents.")
    return _read_link(leaf, tuple([_read_link(parent) for parent in parents]), leaf=True)


def _read_link(
    raw: bytes, parents: tuple[Unverified, ...] = (), *, leaf: bool = False
) -> Unverified:
    jws = read(raw, _TYPES, ALGORITHMS)
    claims = jws.claims
    if not claims.keys() <= _CLAIMS:
        raise UnsupportedError(f"The passport has {named(claims.keys() - _CLAIMS)}.")
    agent = _name(claims, _AGENT_ID)
    actors = _actors(claims.get("act"))
    if actors[0] != agent:
        raise MalformedError("The claim `act` names another agent than the passport is for.")
    if type(claims.get(_TASK_PURPOSE, "")) is not str:
        raise MalformedError("The claim `task_purpose` must be a string.")
    succession = Succession(_parent(claims), actors, _acr(claims))
    return Unverified(
        "csp",
        _name(claims, "iss"),
        agent,
        _name(claims, "jti"),
        jws.kid,
        _time(claims, "iat"),
        _time(claims, "exp"),
        _time(claims, "nbf"),
        # A parent was for whoever its agent called; only the leaf is for this gate.
        (_name(claims, "aud"),) if leaf else _not_for_here(claims),
        _scope(claims.get(_TOOL_SCOPE, [])),
        NO_CONSTRAINTS,
        (),
        {},
        jws.payload,
        jws.signing_input,
        jws.signature,
        parents=parents,
        algorithm=jws.alg,
        principal=Principal(_name(claims, "sub"), _assurance(claims)),
        model=_name(claims, _AGENT_MODEL),
        succession=succession,
        flaw=None if parents else _alone(succession),
    )


def _alone(succession: Succession) -> Refusal | None:
    """What check 10 has against a token without parents."""
    if succession.parent is not None:
        return NO_PARENTS
    return ACTS_FOR if len(succession.actors) > 1 else None


def _not_for_here(claims: dict[str, Any]) -> tuple[str, ...]:
    _name(claims, "aud")
    return ()


def _name(claims: dict[str, Any], claim: str) -> str:
    value = claims.get(claim)
    if type(value) is not str or not is_name(value):
        raise MalformedError(f"The passport needs `{claim.removeprefix(NAMESPACE)}` as {A_NAME}.")
    return value


def _time(claims: dict[str, Any], claim: str) -> int:
    value = claims.get(claim)
    if type(value) is not int or not 0 <= value <= MAX_TIME:
        raise MalformedError(f"The passport needs `{claim}` in whole seconds.")
    return value


def _actors(value: object) -> tuple[str, ...]:
    """The agents of `act`, the newest first (RFC 8693 section 4.1)."""
    agents: list[str] = []
    while type(value) is dict:
        if not value.keys() <= _ACTOR:
            raise UnsupportedError(f"The claim `act` has {named(value.keys() - _ACTOR)}.")
        agents.append(_name(value, "sub"))
        if "act" not in value:
            return tuple(agents)
        value = value["act"]
    raise MalformedError("The claim `act` must be an object, and so each that it holds.")


def _parent(claims: dict[str, Any]) -> str | None:
    if _PARENT_JTI not in claims:
        return None
    value = claims[_PARENT_JTI]
    # An empty one names a parent that nobody can be.
    if type(value) is not str or len(value) > MAX_NAME_BYTES:
        raise MalformedError("The claim `parent_jti` must be a passport's id.")
    return value


def _acr(claims: dict[str, Any]) -> str | None:
    value = claims.get("acr", "")
    if type(value) is not str:
        raise MalformedError("The claim `acr` must be a string.")
    return value if "acr" in claims else None


def _assurance(claims: dict[str, Any]) -> tuple[int | None, int | None, int | None]:
    ial, aal, fal = [_level(claims, name) for name in _LEVELS]
    return ial, aal, fal


def _level(claims: dict[str, Any], name: str) -> int | None:
    if name not in claims:
        return None
    value = claims[name]
    if type(value) is not int or not 1 <= value <= 3:
        raise MalformedError(f"The claim `{name}` must be 1, 2 or 3.")
    return value


def _scope(value: object) -> tuple[Permission, ...]:
    if type(value) is not list:
        raise MalformedError("The claim `tool_scope` must be a list.")
    if len(value) > MAX_SCOPES:
        raise UnsupportedError(f"The claim `tool_scope` has more than {MAX_SCOPES} entries.")
    if not all(type(pattern) is str and is_name(pattern) for pattern in value):
        raise MalformedError(f"Each entry of `tool_scope` must be {A_NAME}.")
    if sum(map(is_glob, value)) > MAX_PATTERNS:
        raise UnsupportedError(f"The claim `tool_scope` has more than {MAX_PATTERNS} patterns.")
    return tuple(
        [Permission(pattern, NO_CONSTRAINTS, "glob", is_catch_all(pattern)) for pattern in value]
    )
