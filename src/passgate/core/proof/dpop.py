"""DPoP (RFC 9449): a signed statement about this very request, in a header of its own."""

from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.jwks import read_key, thumbprint_of
from passgate.core.jws import (
    MalformedError,
    UnsupportedError,
    encode_base64url,
    is_name,
    read_object,
    split,
)
from passgate.core.keys import PublicKey, algorithm_of, fits
from passgate.core.passport import Holder
from passgate.core.proof.addressed import is_addressed
from passgate.core.proof.base import ProofRules, burning, invalid, judge_moment
from passgate.core.reasons import Refusal
from passgate.core.request import Request

MAX_PROOF_BYTES: Final = 8192

_TYP: Final = "dpop+jwt"
_HEADER: Final = frozenset({"typ", "alg", "jwk"})
_CLAIMS: Final = frozenset({"jti", "htm", "htu", "iat", "ath", "nonce", "exp", "nbf"})
_COMPULSORY: Final = frozenset({"jti", "htm", "htu", "iat", "ath"})
_ALGORITHMS: Final = {"EdDSA": "EdDSA", "Ed25519": "EdDSA", "ES256": "ES256", "RS256": "RS256"}

_TOO_LARGE: Final = invalid("The proof is larger than any proof needs.")
_OTHER_KEY: Final = invalid("The proof is made with another key than the passport is bound to.")
_SIGNATURE: Final = invalid("The proof's signature does not verify.")
_CLAIMS_MISSING: Final = invalid("The proof needs jti, htm, htu, iat and ath, each of its type.")
_METHOD: Final = invalid("The proof is for another method.")
_URL: Final = invalid("The proof is for another URL.")
_PASSPORT: Final = invalid("The proof is for another passport.")
_LATER: Final = invalid("The proof is not valid at this time.")
_NO_NONCE: Final = Refusal(
    "proof_invalid", "The proof must hold the nonce that this answer gives.", wants_nonce=True
)
_OLD_NONCE: Final = Refusal(
    "proof_invalid", "The proof's nonce is not one of this gate's, or too old.", wants_nonce=True
)


def judge_dpop(
    value: bytes, request: Request, holder: Holder, rules: ProofRules, now: Instant
) -> Charge | Refusal:
    """What burns the proof, if it holds for this request, this passport and this moment.

    The checks are those of RFC 9449 section 4.3, the key's binding among them (section 7.1); what
    an unknown claim or header member was to say is not guessed. Never raises.
    """
    if len(value) > MAX_PROOF_BYTES:
        return _TOO_LARGE
    try:
        head, body, signature, message = split(value)
        key, thumbprint = _read_header(head)
        claims = read_object(body, "proof")
    except (MalformedError, UnsupportedError) as error:
        return invalid(str(error))
    if thumbprint != holder.thumbprint:
        return _OTHER_KEY
    if not fits(key, signature, message):
        return _SIGNATURE
    return _judge_claims(claims, request, holder, rules, now)


def _judge_claims(
    claims: dict[str, Any], request: Request, holder: Holder, rules: ProofRules, now: Instant
) -> Charge | Refusal:
    names = claims.keys()
    if not names <= _CLAIMS:
        return invalid("The proof has a claim that this gate does not know.")
    jti, made_at = claims.get("jti"), claims.get("iat")
    if (
        not names >= _COMPULSORY
        or type(jti) is not str
        or not is_name(jti)
        or type(made_at) is not int
        or type(claims["htu"]) is not str
    ):
        return _CLAIMS_MISSING
    if claims["htm"] != request.method:
        return _METHOD
    if not is_addressed(claims["htu"], request, rules.public_url):
        return _URL
    if claims["ath"] != _hash_of(request):
        return _PASSPORT
    outside = judge_moment(made_at, rules, now)
    if outside is not None:
        return outside
    if not _within(claims, rules, now):
        return _LATER
    nonces = rules.nonces
    if nonces is not None:
        nonce = claims.get("nonce")
        if nonce is None and rules.nonce_required:
            return _NO_NONCE
        if nonce is not None and (type(nonce) is not str or not nonces.is_good(nonce, now)):
            return _OLD_NONCE
    return burning(holder.thumbprint, jti, rules)


def _within(claims: dict[str, Any], rules: ProofRules, now: Instant) -> bool:
    """Whether `nbf` and `exp`, which a proof may have besides, hold."""
    begins, ends = claims.get("nbf", 0), claims.get("exp", 2**53 - 1)
    return (
        type(begins) is int
        and type(ends) is int
        and begins <= now.wall + rules.skew_s
        and now.wall - rules.skew_s < ends
    )


def _hash_of(request: Request) -> str:
    """`ath` of the passport as it was presented (RFC 9449 section 4.2)."""
    credential = request.sorted.credential
    assert credential is not None
    assert not isinstance(credential, Refusal)
    return _encoded_hash(credential.text)


# An agent presents the same passport many times, with another proof each time.
@lru_cache(maxsize=1024)
def _encoded_hash(text: str) -> str:
    return encode_base64url(sha256(text.encode("latin-1")).digest()).decode()


# A holder's proofs all have the same header, in which the key stands: it is read once.
@lru_cache(maxsize=1024)
def _read_header(head: bytes) -> tuple[PublicKey, str]:
    """The key of a proof's header, and its thumbprint. Raises for any other header."""
    header = read_object(head, "proof's header")
    if header.get("typ") != _TYP:
        raise MalformedError("The proof's `typ` is not dpop+jwt.")
    if header.keys() != _HEADER:
        raise UnsupportedError("The proof's header has other members than typ, alg and jwk.")
    jwk, alg = header["jwk"], header["alg"]
    if type(jwk) is not dict or type(alg) is not str:
        raise MalformedError("The proof's header needs `jwk` and `alg`.")
    try:
        key = read_key(jwk, "the key")
    except ValueError:
        raise MalformedError("The proof's key is no sound public key.") from None
    if _ALGORITHMS.get(alg) != algorithm_of(key):
        raise UnsupportedError("The proof's `alg` is not that of its key.")
    return key, thumbprint_of(jwk)
