"""TLS contexts for both sides: TLS 1.2 or later, verification always on."""

import asyncio
import ssl

from passgate.proxy.settings import ListenTls, UpstreamTls


def listener_context(tls: ListenTls, *, http2: bool) -> ssl.SSLContext:
    """The server side, with `http2` in either version; no certificate but from `client_ca` enters.

    With `client_optional`, a client without any certificate may come too.

    Raises `OSError` (`ssl.SSLError` is one) where a file cannot be read or is not what it claims.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(tls.cert, tls.key)
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL if tls.client_optional else ssl.CERT_REQUIRED
    return context


def upstream_context(tls: UpstreamTls, *, http2: bool = False) -> ssl.SSLContext:
    """The client side: the server's name and chain are verified, against `ca` alone where given.

    It offers HTTP/1.1, or with `http2` HTTP/2 and nothing else.

    Raises `OSError` as `listener_context` does.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"] if http2 else ["http/1.1"])
    if tls.ca is not None:
        context.load_verify_locations(tls.ca)
    else:
        context.load_default_certs()
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context


def speaks_http2(transport: asyncio.BaseTransport) -> bool:
    """Whether the peer has chosen HTTP/2 by ALPN; without TLS it is known to speak it."""
    tls = transport.get_extra_info("ssl_object")
    return tls is None or tls.selected_alpn_protocol() == "h2"


def ended_in_order(transport: asyncio.Transport) -> bool:
    """Whether the peer has said that it ended: over TLS by close_notify, without TLS by the end.

    Anybody on the way can end the TCP connection; RFC 9112 section 9.8 has a body that is delimited
    by the end incomplete then. asyncio tells of both in the same way.
    """
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return True
    try:
        return not tls.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False
