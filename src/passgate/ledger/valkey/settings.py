"""What a shared ledger is told: where the server is, how long to wait, what to do without it."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerTls:
    """TLS to the server: authorities to trust instead of the system's, and a certificate to show.

    The server's certificate is always verified, and its name is that of the URL.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class OnLoss:
    """What happens to a charge that no lease covers while the server is away.

    `local` counts it here, up to this gate's part of the limit; `deny` refuses the request. `rate`
    is for rates and requests in flight, `spend` for money and for uses in all, `replay` for
    idempotency keys and proofs of possession, each of which counts once.
    """

    rate: str = "local"
    spend: str = "deny"
    replay: str = "deny"

    def of(self, kind: str) -> str:
        """The rule for `rate`, `spend` or `replay`."""
        if kind == "spend":
            return self.spend
        return self.rate if kind == "rate" else self.replay


@dataclass(frozen=True, slots=True)
class SharedSettings:
    """One server, or the sentinels that know it, and how its counters are used.

    `addresses` are (host, port), of one server or cluster node, or of sentinels where `master`
    names the server to ask them for; `socket` is a Unix socket instead. `name` is the hash tag of
    every key: gates that share budgets have the same. A lease of None is 2 % of what is left.
    """

    addresses: tuple[tuple[str, int], ...] = ()
    socket: Path | None = None
    master: str = ""
    secure: bool = False
    database: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    sentinel_password: str = field(default="", repr=False)
    tls: ServerTls = ServerTls()
    name: str = "passgate"
    connect_timeout_s: float = 1.0
    timeout_s: float = 0.25
    lease_cents: int | None = None
    lease_calls: int | None = None
    on_loss: OnLoss = OnLoss()
