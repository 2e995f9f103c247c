"""Judges a passport alone, without a request: by a file of keys, or as one gate would."""

import asyncio
import os
from pathlib import Path

from passgate.cli.exits import note
from passgate.clock import system_clock
from passgate.config import Config, build_self_issuer, load_config
from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.jwks import MAX_JWKS_BYTES, parse_jwks
from passgate.core.kills import NO_KILLS, Kills
from passgate.core.passport import Passport
from passgate.core.permissions import covering, judge_catch_all
from passgate.core.reasons import Refusal
from passgate.core.trust import Issuer, KeySet, Trust
from passgate.core.verification import (
    Acceptance,
    check_audience,
    check_kills,
    check_revocation,
    check_times,
    named_key,
    verify,
)
from passgate.errors import DataError, SourceError
from passgate.settings import find_bundle, issuer_settings
from passgate.sync.keeper import Keeper
from passgate.sync.kill_store import KillStore

_SKEW_S = 30.0
_MAX_LIFETIME_S = 90 * 86_400.0


def judge_by_keys(token: str, jwks: Path, action: str | None) -> Passport | Refusal:
    """Checks 4, 6, 7, 10 and 13, the file's keys standing for whichever issuer the passport names.

    Raises `SourceError` for a file that is no key set.
    """
    now = system_clock()
    try:
        with jwks.open("rb") as file:
            keys = parse_jwks(file.read(MAX_JWKS_BYTES + 1))
    except OSError as error:
        raise SourceError(f"{jwks} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SourceError(f"{jwks}: {error}") from None
    acceptance = Acceptance(frozenset({"jwt", "csp"}))
    named = named_key(token, acceptance)
    name = "" if named is None else named[0]
    issuer = Issuer(
        id=name,
        tier="L1",
        formats=acceptance.formats,
        permissions=("*",),
        constraints=NO_CONSTRAINTS,
        max_stale_s=0.0,
        revocations_required=False,
        keys=KeySet(keys, "", now),
    )
    passport = verify(token, Trust({name: issuer}), acceptance)
    if isinstance(passport, Refusal):
        return passport
    return (
        check_times(passport, now, _SKEW_S, _MAX_LIFETIME_S)
        or passport.flaw
        or _check_permission(passport, issuer, action)
        or passport
    )


def judge_by_config(token: str, path: Path, action: str | None) -> Passport | Refusal:
    """Checks 4 to 10 and 13 as the gate of the configuration at `path` would judge them now.

    The sources of the passport's issuer are read once, without the gate's own copies. Raises
    `ConfigError`, and `SourceError` where a source cannot be read.
    """
    config = load_config(path, os.environ, secrets=False).config
    acceptance = Acceptance(frozenset(config.passport.formats))
    named = named_key(token, acceptance)
    keeper = Keeper(
        [entry for entry in issuer_settings(config) if named and entry.issuer.id == named[0]],
        None,
        kills=kills_of_gate(config),
        self_issued=build_self_issuer(config),
    )
    asyncio.run(keeper.read_once())
    take_bundle(keeper, config)
    judged = _judge(token, config, keeper.trust, acceptance, action)
    if isinstance(judged, Refusal) and judged.code == "trust_stale":
        errors = [row["error"] for row in keeper.status() if row["error"]]
        raise SourceError(errors[0] if errors else f"trust_stale: {judged.detail}")
    return judged


def take_bundle(keeper: Keeper, config: Config) -> None:
    """Has `keeper` know what the trust bundle in place tells; says so where that cannot be told."""
    try:
        imported = find_bundle(config, system_clock())
        if imported is not None:
            asyncio.run(keeper.adopt(imported))
    except (DataError, SourceError) as error:
        note(f"warning: {error}")


def kills_of_gate(config: Config) -> Kills:
    """What the gate of this configuration has stopped; says so where that cannot be told here."""
    try:
        return KillStore(config.gate.data_dir / "kills").load()
    except DataError as error:
        note(f"warning: what is stopped is not known: {error}")
        return NO_KILLS


def _judge(
    token: str, config: Config, trust: Trust, acceptance: Acceptance, action: str | None
) -> Passport | Refusal:
    passport = verify(token, trust, acceptance)
    if isinstance(passport, Refusal):
        return passport
    now = system_clock()
    issuer = trust.issuer_of(passport.issuer)
    assert issuer is not None
    return (
        check_times(passport, now, config.passport.clock_skew_s, config.passport.max_lifetime_s)
        or check_audience(passport, frozenset({config.gate.id, *config.gate.audience}))
        or check_revocation(passport, issuer, now)
        or trust.kills.judge_everything()
        or (trust.kills.judge_action(action) if action is not None else None)
        or check_kills(passport, trust.kills)
        or passport.flaw
        or _check_permission(passport, issuer, action)
        or passport
    )


def _check_permission(passport: Passport, issuer: Issuer, action: str | None) -> Refusal | None:
    if action is None:
        return None
    refused = judge_catch_all(passport.permissions, allowed=issuer.catch_all)
    if refused is not None:
        return refused
    for link in passport.lineage:
        covered = covering(link.permissions, issuer.permissions, action)
        if isinstance(covered, Refusal):
            return covered
    return None
