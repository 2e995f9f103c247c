"""What a webhook needs beyond the form of each key: that nobody reads or forges its letters."""

from typing import Final
from urllib.parse import urlsplit

from passgate.config.findings import Findings
from passgate.config.kinds import BAD
from passgate.config.places import is_loopback

_SHORT_SECRET: Final = 16


def approvals_check(found: Findings) -> None:
    """Finds a webhook that would be read on its way, or whose letters could be forged."""
    webhook = found.get("approvals", "webhook")
    if webhook in (None, BAD):
        return
    url, secret = webhook["url"], webhook["secret"]
    if url is not BAD and webhook["insecure_http"] is False:
        parts = urlsplit(url)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            found.problem(
                "approvals.webhook.url",
                "is not protected on its way: use https://, or set insecure_http: true",
            )
    if secret is not BAD and len(secret.value) < _SHORT_SECRET:
        found.warn(
            "approvals.webhook.secret",
            f"is shorter than {_SHORT_SECRET} characters: use a long random one",
        )
