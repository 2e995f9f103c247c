"""Which address gets the next request: the rules of balancing over those that do their work."""

from collections.abc import Iterable, Sequence

from passgate.proxy.settings import Endpoint, UpstreamHealth
from passgate.proxy.upstream_address import Address


class Balance:
    """The addresses of one upstream, in order, and whose turn it is.

    Addresses that are out are passed over. Where all are, the one whose failure is the longest ago
    is tried: an outage that is over must not last until somebody dares.
    """

    __slots__ = ("_round_robin", "_turn", "addresses")

    def __init__(self, rule: str) -> None:
        self._round_robin = rule == "round_robin"
        self._turn = 0
        self.addresses: tuple[Address, ...] = ()

    def adopt(self, listed: Iterable[tuple[Endpoint, str]], health: UpstreamHealth) -> None:
        """Goes on with exactly these addresses, each with the name to verify it by.

        Those that stay keep their connections and their health; those that are gone vanish.
        """
        before = {(each.endpoint, each.server_name): each for each in self.addresses}
        after: dict[tuple[Endpoint, str], Address] = {}
        for key in listed:
            if key in before:
                after[key] = before.pop(key)
            elif key not in after:
                after[key] = Address(*key, health)
        self.addresses = tuple(after.values())
        for address in before.values():
            address.vanish()

    def next(self, tried: Sequence[Address] = ()) -> Address | None:
        """The address for a request that was not sent to any of `tried`; None without another."""
        addresses = self.addresses
        count = len(addresses)
        best: Address | None = None
        at = 0
        for offset in range(count):
            index = (self._turn + offset) % count
            address = addresses[index]
            if address.out or address in tried:
                continue
            if best is None or address.busy < best.busy:
                best, at = address, index
                if self._round_robin:
                    break
        if best is not None:
            # Also where the fewest connections count: among equals the next one in turn.
            self._turn = (at + 1) % count
            return best
        for address in addresses:
            if address not in tried and (best is None or address.failed_at < best.failed_at):
                best = address
        return best

    def on_trial(self, now: float) -> Address | None:
        """An address that is out, is reached again, and waits for one request to prove itself."""
        for address in self.addresses:
            if address.out and address.idle and address.trial is None and address.until <= now:
                return address
        return None

    def spare(self) -> "Address | None":
        """The least busy address with an idle connection, where no other can be opened."""
        best: Address | None = None
        for address in self.addresses:
            if address.idle and (best is None or address.busy < best.busy):
                best = address
        return best
