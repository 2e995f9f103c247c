"""What a soak came to, as a page."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.soak.accounts import Accounts, Logged
from tests.soak.samples import SHORT_S, Samples


@dataclass
class Soaked:
    """A soak after settling up. `wrong` says what does not agree or should not have been."""

    accounts: Accounts
    logged: Logged
    samples: Samples
    changes: dict[str, int]
    wrong: list[str]
    verified: str
    segments: int


def page(soaked: Soaked) -> str:
    """The whole of soak.md."""
    samples, accounts = soaked.samples, soaked.accounts
    half = len(samples.rss_mb) // 2
    verdict = "Nothing is unaccounted for." if not soaked.wrong else "**Something is wrong:**"
    memory = (f"{samples.rss_mb[place]:.0f}" for place in (0, half, -1))
    judged = samples.second[-1] >= SHORT_S
    bound = f" of at most {samples.bound_mb():+.1f}" if judged else ", too short a run to say"
    lines = [
        "# Soaked",
        "",
        f"{samples.second[-1]:.0f} seconds, {accounts.total:,} decisions. {verdict}",
        "",
        *(f"- {words}" for words in soaked.wrong),
        *([""] if soaked.wrong else []),
        "Clients, metrics and log agree on every decision by its code; each request that reached",
        "the upstream has its line; each that was allowed has its outcome.",
        "",
        f"- log: {sum(soaked.logged.kinds.values()):,} lines in {soaked.segments} segments",
        f"- `audit verify`: {soaked.verified.splitlines()[-1] if soaked.verified else 'failed'}",
        f"- memory at first, after half the time, at the end: {', '.join(memory)} MB",
        f"- its peak in the last quarter over that before: {samples.rise_mb():+.1f} MB{bound}",
        f"- descriptors: {max(samples.descriptors)} at most, {samples.descriptors[-1]} at the end",
        f"- threads: {max(samples.threads)} at most",
        "- meanwhile: " + ", ".join(f"{count} {name}" for name, count in soaked.changes.items()),
        "",
        *_table("decision", "count", _decisions(accounts.decided)),
        *_table("traffic", "answers by status", _traffic(accounts.statuses)),
        "Repeat with `make soak`.",
        "",
    ]
    return "\n".join(lines)


def _table(left: str, right: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    head = [f"| {left} | {right} |", "|---|---|"]
    return [*head, *(f"| {name} | {words} |" for name, words in rows), ""]


def _decisions(decided: Counter[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for key, count in decided.most_common():
        yield " ".join(key).strip(), f"{count:,}"


def _traffic(statuses: Counter[tuple[str, int]]) -> Iterable[tuple[str, str]]:
    """A row per kind of traffic; 0 stands for an answer that nobody waited for."""
    by_kind: dict[str, list[str]] = {}
    for (kind, status), count in sorted(statuses.items()):
        words = f"{status}: {count:,}" if status else f"left: {count:,}"
        by_kind.setdefault(kind, []).append(words)
    return ((kind, ", ".join(words)) for kind, words in by_kind.items())
