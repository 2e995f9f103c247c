"""What the body of a source teaches: an issuer's keys, what it has revoked, or its passports."""

import asyncio
import hashlib
import json
import math
from dataclasses import replace
from typing import Final, NamedTuple

from passgate.core.instant import Instant
from passgate.core.jwks import parse_jwks
from passgate.core.keys import PublicKey, identity_of
from passgate.core.references import read_passports
from passgate.core.revocation import (
    RevocationList,
    check_succession,
    packed,
    read_revocation_list,
)
from passgate.core.revocation_delta import UnknownKeyError, read_delta
from passgate.core.trust import Issuer, KeySet, Passports, Revocations
from passgate.errors import DataError
from passgate.sync.follower import Follower, Memory, in_time
from passgate.sync.store import Copy, SignedDelta

MANY_DELTAS: Final = 256
"""Beyond so many deltas the list is read anew."""

MAX_DELTAS: Final = 4096
"""The most that are added to a list which cannot be read anew."""


class KeysFollower(Follower[KeySet]):
    """Learns an issuer's public keys. They count only from the source that is configured now."""

    kind = "keys"

    async def learn(self, body: bytes, read_at: Instant) -> tuple[KeySet, Memory]:
        """The keys in the JWKS `body`."""
        return _key_set(await in_time(body, lambda: parse_jwks(body)), read_at), Memory()

    def check_confirmed(self) -> None:
        """Keys that were accepted stay acceptable."""

    def inherit(self, value: KeySet | None, memory: Memory) -> None:
        """Takes over keys, if they came from the same source."""
        if memory.source == self.source.name:
            super().inherit(value, memory)

    def recall(self, copy: Copy) -> KeySet | None:
        """The keys of the last good copy, if it came from the same source."""
        if copy.source != self.source.name:
            return None
        return self.reread(copy)

    def reread(self, copy: Copy) -> KeySet:
        """The keys in `copy`."""
        return _key_set(parse_jwks(copy.body), copy.read_at)


class Taken(NamedTuple):
    """What came of a delta: whether it `added` anything, and whether the list is to be read anew,
    because something is missing between the two, or because very much was added."""

    added: bool
    wants_list: bool


class ListFollower(Follower[Revocations]):
    """Learns what an issuer has revoked; `signers` follows the keys that its list is signed with.

    A list that was accepted stays in force until the next is, also when its key is gone or its
    source is another one now: then it only ages. `deltas` were added to it since it was read.
    """

    kind = "revocations"
    deltas: tuple[SignedDelta, ...] = ()
    signers: KeysFollower
    uri: str | None = None
    """The address that a status list from this source must be of; None: the source is a file."""

    async def learn(self, body: bytes, read_at: Instant) -> tuple[Revocations, Memory]:
        """The list in `body`, if it may follow the one in force."""
        # At start both are read at the same moment, and the list cannot be judged without keys.
        if self.signers.value is None:
            await self.signers.attempted.wait()
        keys = self._keys()
        new = await in_time(
            body,
            lambda: read_revocation_list(
                body,
                self.issuer,
                keys,
                now=read_at.wall,
                plain_allowed=self.source.vouches,
                uri=self.uri,
            ),
        )
        known = self.memory
        check_succession(
            new,
            highest_iat=known.highest_iat,
            signed_before=known.signed_by is not None and known.source == self.source.name,
            revoked_keys=self.value.keys if self.value is not None else packed(()),
        )
        # The new list has everything that led to it, or it would be refused.
        self.deltas = ()
        if new.issued_at is None:
            return new.read_at(read_at), Memory(highest_iat=known.highest_iat)
        return new.read_at(read_at), Memory(
            highest_iat=new.issued_at,
            signed_by=(new.kid, identity_of(keys[new.kid]).hex()),
            ttl_s=new.ttl_s,
        )

    def check_confirmed(self) -> None:
        """Raises `ValueError` where the issuer no longer has the key that signed the list, or has
        pushed since what the source does not have yet.
        """
        if self.deltas:
            raise ValueError("the revocation list is older than what was pushed since")
        if self.memory.signed_by is None:
            return
        kid, key = self.memory.signed_by
        known = self._keys().get(kid)
        if known is None or identity_of(known).hex() != key:
            raise ValueError(
                "the revocation list is signed by a key that the issuer does not have now"
            )

    def recall(self, copy: Copy) -> Revocations:
        """The list of the last good copy."""
        return self.reread(copy)

    def outruns(self, copy: Copy, now: Instant) -> bool:
        """Whether the list in `copy` was issued later than any before it, or read later.

        A list without a signature does not outrun a signed one. Raises `ValueError` for one signed
        by a key that the list in force revokes: a stolen key must not undo its revocation.
        """
        known = self.memory
        if copy.signed_by is None:
            return known.signed_by is None and super().outruns(copy, now)
        if known.highest_iat is not None and copy.highest_iat != known.highest_iat:
            later = copy.highest_iat is not None and copy.highest_iat > known.highest_iat
        else:
            later = super().outruns(copy, now)
        if later and self.value is not None and copy.signed_by[0] in self.value.keys:
            raise ValueError("the revocation list is signed by a key that has been revoked")
        return later

    def take(self, value: Revocations, copy: Copy) -> None:
        """Has the list in force, without deltas: it has everything that led to it."""
        self.deltas = ()
        super().take(value, copy)

    def reread(self, copy: Copy) -> Revocations:
        """The list in `copy`, verified with the key under which it was accepted."""
        keys: dict[str, PublicKey] = {}
        if copy.signed_by is not None:
            keys[copy.signed_by[0]] = bytes.fromhex(copy.signed_by[1])
        # It was accepted when it came; a clock that was set back since must not take it away.
        recalled: RevocationList = read_revocation_list(
            copy.body, self.issuer, keys, now=math.inf, plain_allowed=copy.signed_by is None
        )
        return recalled.read_at(copy.read_at)

    @property
    def number(self) -> int | None:
        """What the list is numbered by: the `iat` of its newest state. None where deltas cannot add
        to it, because there is none, or none of the kind."""
        value, memory = self.value, self.memory
        if value is None or memory.signed_by is None or value.statuses is not None:
            return None
        return memory.highest_iat

    def take_delta(self, raw: bytes, now: Instant) -> Taken:
        """Adds what the delta `raw` revokes, at once. Raises `ValueError` for what is none."""
        value, number = self.value, self.number
        if value is None or number is None:
            raise ValueError("there is no signed list that a delta could add to")
        keys = self._keys()
        try:
            delta = read_delta(raw, self.issuer, keys, value.keys, now=now.wall)
        except UnknownKeyError:
            self.signers.ask()  # it may be a new one
            raise
        if delta.before > number:
            return Taken(False, True)
        if delta.after < number:
            return Taken(False, False)
        added = delta.after > number
        if added:
            if len(self.deltas) >= MAX_DELTAS:
                raise ValueError("the list is not read again, and too much was pushed since")
            value = delta.added_to(value)
            key = identity_of(keys[delta.kid]).hex()
            self.deltas = (*self.deltas, SignedDelta(raw, (delta.kid, key)))
            self.memory = replace(self.memory, highest_iat=delta.after)
        confirmed_at = delta.confirmed_at(now)
        if now.age_of(confirmed_at) < now.age_of(value.read_at):
            value = replace(value, read_at=confirmed_at)
        self.value = value
        self._changed(self, added)
        return Taken(added, len(self.deltas) > MANY_DELTAS)

    async def restore(self) -> None:
        """Takes up the last good copy, and what was added to it."""
        fresh = self.value is None
        await super().restore()
        number, store = self.number, self._store
        if not fresh or number is None or store is None:
            return
        none = packed(())
        for each in await asyncio.to_thread(store.load_deltas, self.issuer):
            assert self.value is not None
            kid, key = each.signed_by
            try:
                # Each was accepted when it came; what was revoked since does not take it back.
                keys: dict[str, PublicKey] = {kid: bytes.fromhex(key)}
                delta = read_delta(each.raw, self.issuer, keys, none, now=math.inf)
            except ValueError as error:
                raise DataError(
                    f"{store.deltas_path_of(self.issuer)}: {error}; restore it from a backup, or"
                    " remove it and see that the source serves the current list"
                ) from None
            if delta.before <= number < delta.after:
                number = delta.after
                self.value = delta.added_to(self.value)
                self.memory = replace(self.memory, highest_iat=number)
                self.deltas = (*self.deltas, each)

    def _keys(self) -> dict[str, PublicKey]:
        return {} if self.signers.value is None else dict(self.signers.value.keys)


class PassportsFollower(Follower[Passports]):
    """Learns the passports of an issuer that may be presented by their ids.

    `entry` is what the issuer may, `signers` follows its keys. The list counts whole or not at all,
    and only from the source that is configured now; each passport is verified again, with the keys
    of then, whenever it is presented.
    """

    kind = "passports"
    entry: Issuer
    signers: KeysFollower

    async def learn(self, body: bytes, read_at: Instant) -> tuple[Passports, Memory]:
        """The passports in `body`, if every one of them is as it should be."""
        # At start both are read at the same moment, and no passport can be judged without keys.
        if self.signers.value is None:
            await self.signers.attempted.wait()
        issuer = replace(self.entry, keys=self.signers.value)
        by_id = await in_time(body, lambda: read_passports(body, issuer))
        return Passports(by_id, read_at), Memory()

    def check_confirmed(self) -> None:
        """Passports are judged anew when they are presented, so the list stays acceptable."""

    def inherit(self, value: Passports | None, memory: Memory) -> None:
        """Takes over passports, if they came from the same source."""
        if memory.source == self.source.name:
            super().inherit(value, memory)

    def recall(self, copy: Copy) -> Passports | None:
        """The passports of the last good copy, if it came from the same source.

        Where the keys are others by now, or not known yet, it does not count: the source is read
        soon, and what cannot be verified must not be waited for.
        """
        if copy.source != self.source.name:
            return None
        try:
            return self.reread(copy)
        except ValueError:
            return None

    def reread(self, copy: Copy) -> Passports:
        """The passports in `copy`."""
        issuer = replace(self.entry, keys=self.signers.value)
        return Passports(read_passports(copy.body, issuer), copy.read_at)


def _key_set(keys: dict[str, PublicKey], read_at: Instant) -> KeySet:
    canonical = json.dumps(sorted((kid, identity_of(key).hex()) for kid, key in keys.items()))
    return KeySet(keys, hashlib.sha256(canonical.encode()).hexdigest(), read_at)
