"""Checks of section `upstream` that look at more than one key."""

from typing import Any

from passgate.config.findings import Findings
from passgate.config.kinds import BAD


def upstream_urls(found: Findings) -> list[tuple[str, Any]]:
    """Every URL of the upstream that could be read, with its path."""
    url, urls = found.get("upstream", "url"), found.get("upstream", "urls")
    listed = [] if url in (None, BAD) else [("upstream.url", url)]
    if urls is not BAD:
        listed += [(f"upstream.urls[{index}]", each) for index, each in enumerate(urls)]
    return listed


def upstream_check(found: Findings) -> None:
    """Exactly one of `url` and `urls`, all of one scheme, and times out that fit together."""
    url, urls = found.get("upstream", "url"), found.get("upstream", "urls")
    if url is None and urls == ():
        found.problem("upstream.url", "is compulsory: its URL, without a path, or unix:PATH")
    elif url is not None and urls not in ((), BAD):
        found.problem("upstream.urls", "stands beside upstream.url: give one of the two")
    elif urls is not BAD:
        for index, each in enumerate(urls[1:], start=1):
            if each.scheme != urls[0].scheme:
                found.problem(
                    f"upstream.urls[{index}]", f"must be {urls[0].scheme}: as the first one is"
                )
    first, longest = (
        found.get("upstream", "health", name) for name in ("ejection", "max_ejection")
    )
    if BAD not in (first, longest) and first > longest:
        where = "ejection" if "upstream.health.ejection" in found.at.lines else "max_ejection"
        found.problem(f"upstream.health.{where}", "must leave ejection no longer than max_ejection")


def assertion_check(found: Findings) -> None:
    """An audience only for assertions, and a name for it where no single URL gives one."""
    audience = found.get("upstream", "assertion_audience")
    assertion, urls = found.get("upstream", "assertion"), found.get("upstream", "urls")
    if assertion == "none" and audience not in (None, BAD):
        found.problem(
            "upstream.assertion_audience", "is of assertions, and upstream.assertion is none"
        )
    elif assertion == "jwt" and audience is None and urls not in ((), BAD):
        found.problem(
            "upstream.assertion_audience",
            "is compulsory with upstream.urls: the name by which all of them know themselves",
        )
