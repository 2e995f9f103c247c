"""What certificates say: the name of a client's, for the record, and when the gate's own end."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

_MAX_NAME: Final = 256
# RFC 4514 section 3; OpenSSL's long names on the left.
_SHORT: Final = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
_SPECIAL: Final = frozenset('"+,;<>\\=')


def client_name(certificate: dict[str, Any] | None) -> str:
    """The name in a verified client certificate, as `SSLObject.getpeercert()` gives it; "" if none.

    A SPIFFE id where the certificate is one (a single URI, `spiffe://…`), else the subject as RFC
    4514 writes it, else the first alternative name, else the serial number. Visible ASCII only: all
    else is escaped as RFC 4514 section 2.4 does it. At most 256 characters; of a longer name the
    beginning stays.
    """
    if not certificate:
        return ""
    names = certificate.get("subjectAltName", ())
    uris = [value for kind, value in names if kind == "URI"]
    subject = ",".join(
        "+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in part)
        for part in reversed(certificate.get("subject", ()))
    )
    if len(uris) == 1 and uris[0].startswith("spiffe://"):
        name = _visible(uris[0])
    elif subject:
        name = subject
    elif names:
        name = f"{names[0][0]}:{_visible(str(names[0][1]))}"
    else:
        name = f"serial:{certificate.get('serialNumber', '')}"
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 3]}..."


def _escaped(value: str) -> str:
    """A value of a distinguished name, RFC 4514 section 2.4."""
    text = "".join(f"\\{character}" if character in _SPECIAL else character for character in value)
    if text.endswith(" "):
        text = f"{text[:-1]}\\20"
    if text.startswith((" ", "#")):
        text = f"\\{text}"
    return _visible(text)


def _visible(text: str) -> str:
    return "".join(
        character
        if " " <= character <= "~"
        else "".join(f"\\{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
        for character in text
    )


@dataclass(frozen=True, slots=True)
class Validity:
    """When the first certificate of a file ends, and when it began, in Unix time."""

    begins_at: float
    ends_at: float

    def warning(self, now: float) -> str:
        """What an operator has to know at `now`, or "".

        That is in the last 14 days, and in the last fifth of a shorter life than 70 days.
        """
        shown = f"{datetime.fromtimestamp(self.ends_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
        if now >= self.ends_at:
            return f"the certificate expired at {shown}"
        if self.ends_at - now < min(14 * 86400.0, (self.ends_at - self.begins_at) / 5):
            return f"the certificate expires at {shown}"
        return ""


def validity(file: Path) -> Validity | None:
    """Of the certificates in a PEM file, the one that ends first. None where none can be read.

    Raises `OSError` where the file cannot be read at all.
    """
    # Only gates with TLS need it, and it takes its time and memory.
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except ValueError:
        return None
    first = min(found, key=lambda certificate: certificate.not_valid_after_utc)
    return Validity(first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp())
