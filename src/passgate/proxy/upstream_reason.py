"""Why an address failed, in a few words for an operator; never in words that a peer chose."""

import errno
import os
import ssl
from typing import Final

NOT_HTTP2: Final = errno.EPROTONOSUPPORT
"""The peer did not choose HTTP/2 by ALPN (RFC 9113 section 3.2): the number of that `OSError`."""


def reason_of(error: BaseException | None, timeout: float = 0.0) -> str:
    """Why a connection ended, or none came about within `timeout` seconds."""
    if isinstance(error, OSError) and error.errno == NOT_HTTP2:
        return "it does not speak HTTP/2 (ALPN)"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or 'the handshake was cut'}"
    if isinstance(error, TimeoutError):
        return f"no connection within {timeout:g} s"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return "it closed the connection too early"
