"""HTTP message signatures (RFC 9421) as proof: the holder's Ed25519 key signs this very request."""

from hashlib import sha256
from typing import Final

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.keys import fits
from passgate.core.passport import Holder
from passgate.core.proof.base import ProofRules, burning, invalid, judge_moment
from passgate.core.proof.content_digest import digest_fits
from passgate.core.proof.nonces import Nonces
from passgate.core.proof.signature_base import signature_base
from passgate.core.reasons import Refusal
from passgate.core.request import Request
from passgate.core.structured import Member, read_dictionary

TAGS: Final = ("agent-passport", "web-bot-auth")
"""Signatures that are a proof for the gate: its own, and those of web bots, which also are for
others (draft-meunier-web-bot-auth-architecture)."""

MAX_SIGNATURE_BYTES: Final = 8192

_PARAMETERS: Final = frozenset({"created", "expires", "nonce", "alg", "keyid", "tag"})
_CARRIERS: Final = ("authorization", "x-agent-passport", "x-modei-passport-id")

_UNREADABLE: Final = invalid("The signature headers are not two dictionaries of one shape.")
_SEVERAL: Final = invalid("The request carries more than one signature for the gate.")
_NO_KEY: Final = invalid("The passport names its key by a thumbprint; signatures need cnf.jwk.")
_KEY: Final = invalid("The signature names another key than the passport is bound to.")
_ALGORITHM: Final = invalid("The signature is not by Ed25519.")
_PARAMETER: Final = invalid("The signature has a parameter that this gate does not know.")
_NOT_NOW: Final = invalid("The signature is not valid at this time.")
_UNCOVERED: Final = invalid(
    "The signature must cover @method, @authority, @path and @query (or @target-uri),"
    " and the header of the passport."
)
_NO_DIGEST: Final = invalid("The signature must cover Content-Digest, since the body is judged.")
_DIGEST: Final = invalid("Content-Digest is not that of the body.")
_BASE: Final = invalid("The signature covers something that the request has not exactly once.")
_SIGNATURE: Final = invalid("The signature does not verify.")
_NO_NONCE: Final = Refusal(
    "proof_invalid", "The signature must have the nonce that this answer gives.", wants_nonce=True
)


class Signed:
    """A signature that is meant for the gate: its input, and its octets."""

    __slots__ = ("input", "octets")

    def __init__(self, input: Member, octets: bytes) -> None:  # noqa: A002 - the RFC's word
        self.input = input
        self.octets = octets


def find_signature(request: Request) -> Signed | Refusal | None:
    """The one signature of `request` with one of the gate's tags; None where there is none.

    Others are between the agent and the upstream. What cannot be read is refused only where the
    passport needs a proof: until then nobody knows for whom it is.
    """
    headers = request.sorted
    if not headers.signature_input:
        return None
    if len(headers.signature_input) + len(headers.signature) > MAX_SIGNATURE_BYTES:
        return _UNREADABLE
    try:
        inputs = read_dictionary(headers.signature_input.decode("ascii"))
        signatures = read_dictionary(headers.signature.decode("ascii"))
    except ValueError:
        return _UNREADABLE
    ours = [label for label, each in inputs.items() if each.parameters.get("tag") in TAGS]
    if not ours:
        return None
    if len(ours) > 1:
        return _SEVERAL
    found = signatures.get(ours[0])
    if found is None or found.octets is None or inputs[ours[0]].items is None:
        return _UNREADABLE
    return Signed(inputs[ours[0]], found.octets)


def judge_signature(
    signed: Signed, request: Request, holder: Holder, rules: ProofRules, now: Instant
) -> Charge | Refusal:
    """What burns the signature, if it holds for this request, this passport and this moment.

    Never raises.
    """
    key = holder.key
    if key is None:
        return _NO_KEY
    parameters = signed.input.parameters
    if not parameters.keys() <= _PARAMETERS:
        return _PARAMETER
    if parameters.get("keyid") != holder.thumbprint:
        return _KEY
    if parameters.get("alg", "ed25519") != "ed25519":
        return _ALGORITHM
    uncovered = _judge_cover(signed, request)
    if uncovered is not None:
        return uncovered
    base = signature_base(signed.input, request, rules.public_url)
    if base is None:
        return _BASE
    if not fits(key, signed.octets, base):
        return _SIGNATURE
    created, expires = parameters.get("created"), parameters.get("expires", 2**53 - 1)
    if type(created) is not int or type(expires) is not int or expires <= created:
        return _NOT_NOW
    if now.wall - rules.skew_s >= expires:
        return _NOT_NOW
    outside = judge_moment(created, rules, now)
    if outside is not None:
        return outside
    nonce = parameters.get("nonce")
    if rules.nonce_required and (
        rules.nonces is None or type(nonce) is not str or not _is_given(nonce, rules.nonces, now)
    ):
        return _NO_NONCE
    # Not the nonce, which one gate may give to many requests, nor the octets: the same statement.
    return burning(holder.thumbprint, sha256(base).hexdigest(), rules)


def _is_given(nonce: str, nonces: Nonces, now: Instant) -> bool:
    """Whether a nonce is one that was given out, alone or with a dot and the agent's own after it.

    One is given to many, and two requests that are alike need to differ in something.
    """
    return nonces.is_good(nonce.partition(".")[0], now)


def _judge_cover(signed: Signed, request: Request) -> Refusal | None:
    """Whether all that makes this request this one is covered."""
    items = signed.input.items
    assert items is not None
    covered = {item.value for item in items if not item.parameters}
    carrier = next((each for each in _CARRIERS if each in _presented_in(request)), "")
    where = "@target-uri" in covered or covered >= {"@authority", "@path", "@query"}
    if "@method" not in covered or carrier not in covered or not where:
        return _UNCOVERED
    # What was signed is what was sent, whatever a rule has made of it since.
    body = request.body if request.received is None else request.received
    if body is None:
        return None
    if "content-digest" not in covered:
        return _NO_DIGEST
    return None if digest_fits(request.sorted.content_digest, body) else _DIGEST


def _presented_in(request: Request) -> set[str]:
    return {item.carrier for item in request.sorted.presented}
