"""Once: which operation a request is of, told by its idempotency key, so that a repeat is known."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Once:
    """An operation that is to be charged once, however often its request comes.

    `name` says whose it is and which: `<subject>/<hash of the key>`, where the subject is one of
    `core.constraints.subjects` and holds no slash. `digest` says what is asked: requests of one
    name and of different digests are in conflict. Neither tells the key or the body.
    """

    name: str
    digest: str
