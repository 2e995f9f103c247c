"""The passports of a soak: a pool of good ones, every kind of bad one, and those that change."""

import time
from random import Random

from passgate.testing import TestIssuer, mint

POOL = 2000
_FEW = 50
_LIMITED = 40
_ONE_NEW_IN = 500


class Passports:
    """Passports of two issuers: `issuer`, whose keys stay, and one whose keys come and go."""

    def __init__(self, issuer: TestIssuer, random: Random) -> None:
        self._issuer = issuer
        self._random = random
        self._pool = [self._good(number) for number in range(POOL)]
        self._bad = self._one_of_each()
        self._limited = [
            (code, self._mint(f"agent_{code}_{number}", {key: 3}))
            for number in range(_LIMITED)
            for code, key in (
                ("rate_limited", "core:rate:max_per_minute"),
                ("budget_exhausted", "core:cost:max_cumulative"),
            )
        ]
        self._generation = 0
        self._dooms = 0
        self.keys = [self._key(0)]
        self._rotating = [self.keys[0].mint(permissions=["api:*"])]
        self._doomed = [("pass_doomed_0", self._doom(0))]

    def good(self) -> str:
        """One that passes; once in a while one that was never seen."""
        if self._random.randrange(_ONE_NEW_IN) == 0:
            place = self._random.randrange(POOL)
            self._pool[place] = self._good(place)
        return self._random.choice(self._pool)

    def one_of_few(self) -> str:
        """One of the few that also use what is seldom used."""
        return self._pool[self._random.randrange(_FEW)]

    def in_turn(self, number: int) -> str:
        """All of the good ones in turn."""
        return self._pool[number % POOL]

    def bad(self) -> list[tuple[str, str]]:
        """(the reason code that it must get, passport) of every kind."""
        return self._bad

    def limited(self) -> list[tuple[str, str]]:
        """One whose rate ends soon, and one whose budget does, with the code that says so."""
        place = self._random.randrange(_LIMITED) * 2
        return self._limited[place : place + 2]

    def doomed(self) -> str:
        """One that may be revoked already."""
        return self._random.choice(self._doomed)[1]

    def next_doomed(self) -> tuple[str, str]:
        """(id, passport) of one that is to be revoked now; another is in use beside it."""
        last = self._doomed[-1]
        self._dooms += 1
        self._doomed = [last, (f"pass_doomed_{self._dooms}", self._doom(self._dooms))]
        return last

    def rotating(self) -> list[str]:
        """Passports under the newest key and under those before it."""
        return list(self._rotating)

    def next_key(self) -> None:
        """From now on `keys` are the newest two, and the oldest key's passports are no good."""
        self._generation += 1
        key = self._key(self._generation)
        self.keys = [*self.keys[-1:], key]
        self._rotating = [*self._rotating[-2:], key.mint(permissions=["api:*"])]

    def _key(self, generation: int) -> TestIssuer:
        return TestIssuer("iss_rotating", seed=str(generation))

    def _good(self, number: int) -> str:
        limits = {
            "core:rate:max_per_minute": 1_000_000,
            "core:cost:max_cumulative": 100_000_000,
        }
        return self._mint(f"agent_{number}", limits)

    def _mint(self, agent: str, constraints: dict[str, int]) -> str:
        return mint(
            issuer=self._issuer, agent=agent, permissions=["api:*"], constraints=constraints,
            ttl_s=86_400,
        )  # fmt: skip

    def _doom(self, number: int) -> str:
        return mint(issuer=self._issuer, permissions=["api:*"], passport_id=f"pass_doomed_{number}")

    def _one_of_each(self) -> list[tuple[str, str]]:
        issuer = self._issuer
        now = time.time()
        good = mint(issuer=issuer, permissions=["api:*"])
        head, payload, signature = good.split(".")
        tampered = f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
        only_post = {"core:scope:method_allowlist": ["POST"]}
        unknown = {"core:nobody:knows": 1}
        return [
            ("passport_malformed", "not a passport"),
            ("passport_malformed", good[:-10]),
            ("passport_unsupported", mint(issuer=issuer, claims={"unheard_of": 1})),
            ("issuer_unknown", TestIssuer("iss_stranger").mint()),
            ("key_unknown", mint(issuer=issuer, header={"kid": "another"})),
            ("signature_invalid", tampered),
            ("passport_expired", mint(issuer=issuer, now=now - 7200, ttl_s=3600)),
            ("passport_not_yet_valid", mint(issuer=issuer, claims={"nbf": int(now) + 36_000})),
            ("passport_lifetime", mint(issuer=issuer, ttl_s=100 * 86_400)),
            ("audience_mismatch", mint(issuer=issuer, claims={"aud": "gate_other"})),
            ("permission_denied", mint(issuer=issuer, permissions=["api:items"])),
            ("constraint_violated", mint(issuer=issuer, constraints=only_post)),
            ("constraint_unknown", mint(issuer=issuer, constraints=unknown)),
        ]
