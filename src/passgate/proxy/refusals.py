"""Refusals on the wire: problem details (RFC 9457) with the challenge that belongs to them."""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from passgate.core.reasons import REASONS, Refusal
from passgate.proxy.steps import Answer

_encode = msgspec.json.Encoder().encode
_PROOF_ALGORITHMS = b', algs="EdDSA ES256 RS256"'

# RFC 6750 section 3: error_description holds none of these.
_NOT_IN_DESCRIPTION = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
_NOT_IN_QUOTED = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")

# RFC 3986 section 2: what may stand in a URI, an angle bracket never.
_NOT_IN_URI = re.compile(rb"[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]")

# For a refusal that says to wait and cannot say how long: a full hour where waiting may not help
# at all, a second where the gate itself is what is in the way.
_WAIT_S = {429: 3600, 503: 1}


def quoted(text: str) -> bytes:
    """`text` as an HTTP quoted-string; what cannot stand in one is percent-encoded as UTF-8."""
    raw = text.encode("utf-8", "replace")
    return b'"' + _NOT_IN_QUOTED.sub(_escaped, raw) + b'"'


def nonce_line(nonce: str) -> bytes:
    """The header line that gives out a nonce for the next proof (RFC 9449 section 8.2)."""
    return b"DPoP-Nonce: " + nonce.encode() + b"\r\n"


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match.group()[0]


@dataclass(frozen=True, slots=True)
class Surface:
    """What every refusal of one gate has in common, rendered once when the policy is built.

    `reasons_url` is where the codes are documented: the gate's own page, absolute when the public
    URL is known. `upgrade_lines` is what an anonymous answer carries, each line ending in CRLF.
    """

    realm: str
    profile: str
    schemes: tuple[str, ...]
    reasons_url: str
    upgrade_url: str = ""
    upgrade_message: str = ""
    upgrade_lines: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "upgrade_lines", self._prompt())

    def _prompt(self) -> bytes:
        """The upgrade prompt as header lines; empty where neither URL nor message is set."""
        parts = []
        if self.upgrade_url:
            parts.append(b"url=" + quoted(self.upgrade_url))
        if self.upgrade_message:
            parts.append(b"message=" + quoted(self.upgrade_message))
        if not parts:
            return b""
        lines = b"Passport-Upgrade: " + b", ".join(parts) + b"\r\n"
        if self.upgrade_url:
            link = _NOT_IN_URI.sub(_escaped, self.upgrade_url.encode("utf-8", "replace"))
            lines += b"Link: <" + link + b'>; rel="passport-upgrade"\r\n'
        return lines

    def challenge(self, refusal: Refusal) -> bytes:
        """The `WWW-Authenticate` lines of a 401, one for each scheme that is accepted."""
        reason = refusal.reason
        tail = b"realm=" + quoted(self.realm) + b", profile=" + quoted(self.profile)
        error = "use_dpop_nonce" if refusal.wants_nonce else reason.oauth
        if error:
            said = _NOT_IN_DESCRIPTION.sub("", refusal.detail or reason.title)
            tail += b', error="%b", error_description="%b"' % (
                error.encode(),
                said.encode(),
            )
        return b"".join(
            b"WWW-Authenticate: %b %b%b\r\n"
            # RFC 9449 section 7.1: the scheme says which algorithms proofs may be made with.
            % (scheme.encode(), tail, _PROOF_ALGORITHMS if scheme == "DPoP" else b"")
            for scheme in self.schemes
        )


def render(
    refusal: Refusal,
    surface: Surface,
    *,
    decision_id: str,
    anonymous: bool,
    close: bool = False,
    nonce: str = "",
    hold: dict[str, Any] | None = None,
) -> Answer:
    """The answer to a refused or held request; `hold` says where to ask what became of it.

    `anonymous` says that no credential was presented: such an answer carries the upgrade prompt.
    Nothing of keys, paths or internals is in it; `detail` comes from the refusal alone. `nonce` is
    for the proof that is to come, where the refusal asks for one.
    """
    reason = REASONS[refusal.code]
    status = refusal.http_status
    held = refusal.code == "approval_required"
    body: dict[str, object] = {
        "type": surface.reasons_url + "#" + refusal.code,
        "title": reason.title,
        "status": status,
        "detail": refusal.detail or reason.title,
        "code": refusal.code,
        "decision": "request_hold" if held else "block",
        "decision_id": decision_id,
    }
    lines = b"Content-Type: application/problem+json\r\nCache-Control: no-store\r\n"
    if refusal.constraint:
        body["constraint"] = refusal.constraint
    if refusal.required_permissions:
        body["required_permissions"] = list(refusal.required_permissions)
    if hold is not None:
        body["hold"] = hold
    retry_after_s = refusal.retry_after_s
    if retry_after_s is None:
        retry_after_s = _WAIT_S.get(status)
    if retry_after_s is not None:
        body["retry_after_s"] = retry_after_s
        lines += b"Retry-After: %d\r\n" % retry_after_s
    if status == 401:
        lines += surface.challenge(refusal)
        if nonce:
            lines += nonce_line(nonce)
        if refusal.code == "passport_missing" and surface.upgrade_url:
            body["passport_required_url"] = surface.upgrade_url
    if anonymous:
        lines += surface.upgrade_lines
        if surface.upgrade_url:
            body["upgrade_url"] = surface.upgrade_url
        if surface.upgrade_message:
            body["upgrade_message"] = surface.upgrade_message
    lines += b"Passport-Decision: %b\r\nPassport-Decision-Id: %b\r\n" % (
        b"request_hold" if held else b"block",
        decision_id.encode(),
    )
    return Answer(status, lines, _encode(body) + b"\n", close)
