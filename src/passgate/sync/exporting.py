"""Makes a trust bundle of what a gate's last good copies, or its sources at this moment, hold."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from passgate.clock import Clock
from passgate.core.instant import Instant
from passgate.errors import SourceError
from passgate.sync.bundle import Bundle, CatalogPart, Part
from passgate.sync.keeper import Keeper
from passgate.sync.settings import IssuerSettings
from passgate.sync.store import Copy


def collect(
    issuers: Sequence[IssuerSettings],
    directory: Path,
    *,
    fresh: bool,
    max_age_s: int,
    clock: Clock,
) -> list[Part]:
    """A part for each source of `issuers`, from the copies in `directory` (`data_dir/trust`).

    With `fresh` every source is read now, and judged as the gate would beside those copies, which
    stay as they are. Parts may get as old as `max_age_s`. Raises `SourceError` where a source
    cannot be read or was never, and `DataError` for a damaged copy.
    """
    if fresh:
        copies = _read_now(issuers, directory, clock)
    else:
        copies = Keeper(issuers, directory, clock=clock).copies()
    now = clock()
    return [_part(copy, max_age_s, now) for copy in copies]


def bundle_of(
    parts: list[Part], catalogs: list[CatalogPart], *, gate_id: str, now: float, above: int = 0
) -> Bundle:
    """The bundle of these parts, made at Unix time `now`, whose milliseconds are its version.

    Where one of version `above` was made at the same time, or by a clock that ran ahead, it is the
    next one.
    """
    return Bundle(gate_id, int(now), max(int(now * 1000), above + 1), parts, catalogs)


def _read_now(issuers: Sequence[IssuerSettings], directory: Path, clock: Clock) -> list[Copy]:
    # On a copy of the copies: what is read must follow what was accepted, and the gate that runs
    # here keeps them to itself.
    with tempfile.TemporaryDirectory(prefix="passgate-") as beside:
        copies = Path(beside, "trust")
        if directory.is_dir():
            shutil.copytree(directory, copies)
        keeper = Keeper(issuers, copies, clock=clock)
        asyncio.run(keeper.read_once())
        for row in keeper.status():
            if row["error"]:
                raise SourceError(row["error"])
        return keeper.copies()


def _part(copy: Copy, max_age_s: int, now: Instant) -> Part:
    try:
        body = copy.body.decode()
    except UnicodeDecodeError:
        raise SourceError(f"{copy.source} holds what is no text") from None
    return Part(
        issuer=copy.issuer,
        kind=copy.kind,
        source=copy.source,
        # By whichever clock says more, as everywhere.
        read_at=max(0, int(now.wall - now.age_of(copy.read_at))),
        max_age_s=max_age_s,
        highest_iat=copy.highest_iat,
        signed_by=copy.signed_by,
        body=body,
    )
