"""Checks of section `listen` that look at more than one key."""

from passgate.config.findings import Findings
from passgate.config.kinds import BAD
from passgate.core.client_address import UNIX


def proxy_protocol_check(found: Findings) -> None:
    """Senders of PROXY headers are named, could connect, and are not everyone."""
    version = found.get("listen", "proxy_protocol")
    senders = found.get("listen", "proxy_protocol_from")
    if BAD in (version, senders):
        return
    if version == "v2" and not senders:
        found.problem(
            "listen.proxy_protocol_from",
            "is compulsory with proxy_protocol: v2, whose senders say who the client is: "
            "name the networks of the load balancers, or unix",
        )
    elif version == "v2":
        _someone_can_connect(found, senders)
    elif senders:
        found.warn("listen.proxy_protocol_from", "is of no use without proxy_protocol: v2")
    for index, sender in enumerate(senders):
        if sender != UNIX and sender.prefixlen == 0:
            found.warn(
                f"listen.proxy_protocol_from[{index}]", "lets anyone say which client they are"
            )


def _someone_can_connect(found: Findings, senders: tuple[object, ...]) -> None:
    """Whoever is not a sender is closed before a byte is read, so there must be one."""
    address = found.get("listen", "address")
    if address is BAD:
        return
    if address.path is not None and UNIX not in senders:
        said = "whoever connects to a Unix socket is unix"
    elif address.path is None and set(senders) == {UNIX}:
        said = f"{address} is no Unix socket"
    else:
        return
    found.problem("listen.proxy_protocol_from", f"lets nobody in: {said}")
