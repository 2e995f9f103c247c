"""Stands in for `openssl req -x509` where documents are executed and there is no openssl."""

import datetime as dt
import sys
from argparse import ArgumentParser
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def main() -> int:
    """Writes a private key and a certificate that signs itself, as the options say."""
    parser = ArgumentParser(prog="openssl")
    parser.add_argument("command", choices=["req"])
    for flag in ("-x509", "-nodes"):
        parser.add_argument(flag, action="store_true", required=True)
    for option in ("-newkey", "-days", "-subj", "-addext", "-keyout", "-out"):
        parser.add_argument(option, required=True)
    options = parser.parse_args()
    key = rsa.generate_private_key(65537, int(options.newkey.removeprefix("rsa:")))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, options.subj.removeprefix("/CN="))])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=int(options.days)))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(options.addext.removeprefix("subjectAltName=DNS:"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    Path(options.keyout).write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    Path(options.out).write_bytes(certificate.public_bytes(Encoding.PEM))
    return 0


if __name__ == "__main__":
    sys.exit(main())
