"""What the body of a source teaches: an issuer's keys, or what it has revoked."""

import hashlib
import json
import math

from passgate.core.instant import Instant
from passgate.core.jwks import parse_jwks
from passgate.core.keys import PublicKey, identity_of
from passgate.core.revocation import (
    RevocationList,
    check_succession,
    packed,
    read_revocation_list,
)
from passgate.core.trust import KeySet, Revocations
from passgate.sync.follower import Follower, Memory, in_time
from passgate.sync.store import Copy


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
        return _key_set(parse_jwks(copy.body), copy.read_at)


class ListFollower(Follower[Revocations]):
    """Learns what an issuer has revoked; `signers` follows the keys that its list is signed with.

    A list that was accepted stays in force until the next is, also when its key is gone or its
    source is another one now: then it only ages.
    """

    kind = "revocations"
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
        if new.issued_at is None:
            return new.read_at(read_at), Memory(highest_iat=known.highest_iat)
        return new.read_at(read_at), Memory(
            highest_iat=new.issued_at,
            signed_by=(new.kid, identity_of(keys[new.kid]).hex()),
            ttl_s=new.ttl_s,
        )

    def check_confirmed(self) -> None:
        """Raises `ValueError` where the issuer no longer has the key that signed the list."""
        if self.memory.signed_by is None:
            return
        kid, key = self.memory.signed_by
        known = self._keys().get(kid)
        if known is None or identity_of(known).hex() != key:
            raise ValueError(
                "the revocation list is signed by a key that the issuer does not have now"
            )

    def recall(self, copy: Copy) -> Revocations:
        """The list of the last good copy, verified with the key under which it was accepted."""
        keys: dict[str, PublicKey] = {}
        if copy.signed_by is not None:
            keys[copy.signed_by[0]] = bytes.fromhex(copy.signed_by[1])
        # It was accepted when it came; a clock that was set back since must not take it away.
        recalled: RevocationList = read_revocation_list(
            copy.body, self.issuer, keys, now=math.inf, plain_allowed=copy.signed_by is None
        )
        return recalled.read_at(copy.read_at)

    def _keys(self) -> dict[str, PublicKey]:
        return {} if self.signers.value is None else dict(self.signers.value.keys)


def _key_set(keys: dict[str, PublicKey], read_at: Instant) -> KeySet:
    canonical = json.dumps(sorted((kid, identity_of(key).hex()) for kid, key in keys.items()))
    return KeySet(keys, hashlib.sha256(canonical.encode()).hexdigest(), read_at)
