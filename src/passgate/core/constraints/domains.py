"""Lists of hosts and domains, compared in the one spelling that `passgate.core.hosts` gives."""

from dataclasses import dataclass
from functools import lru_cache

from passgate.core.constraints.values import texts
from passgate.core.hosts import split_authority


@dataclass(frozen=True, slots=True)
class Domains:
    """Hosts, and domains (with their leading dot) of which every subdomain is meant."""

    hosts: frozenset[str]
    domains: tuple[str, ...]

    def allow(self, host: str) -> bool:
        """Whether the host is listed, or a subdomain of a `.domain` entry."""
        return host in self.hosts or host.endswith(self.domains)

    def forbid(self, host: str) -> bool:
        """As `allow`, and a `.domain` entry forbids the domain itself too."""
        return self.allow(host) or "." + host in self.domains

    def __or__(self, other: "Domains") -> "Domains":
        return Domains(self.hosts | other.hosts, tuple(sorted({*self.domains, *other.domains})))


def domains(raw: object) -> Domains:
    """Reads a list of hosts and `.domain` entries; ports, URLs, stars and non-ASCII are refused."""
    hosts = set()
    endings = set()
    for entry in texts(raw):
        bare = entry.removeprefix(".")
        found = split_authority(f"[{bare}]" if ":" in bare and bare[0] != "[" else bare)
        if found is None or found[1] is not None:
            raise ValueError(
                "must be a list of hosts such as api.example.org, or .example.org for its"
                " subdomains, without scheme, port and path, and in punycode if not ASCII"
            )
        if entry == bare:
            hosts.add(found[0])
        else:
            endings.add("." + found[0])
    return Domains(frozenset(hosts), tuple(sorted(endings)))


# Requests name few hosts, each at most as long as a name can be; reading one again takes longer
# than all other comparing of a request. Invented ones only cost themselves the cache.
@lru_cache(maxsize=1024)
def canonical(host: str) -> str | None:
    """The host, if it is in the one spelling that lists are compared in, else None."""
    return host if split_authority(f"[{host}]" if ":" in host else host) == (host, None) else None
