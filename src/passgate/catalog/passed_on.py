"""Versions of a gate's catalog that another gate passed on, for gates that share one catalog."""

from collections.abc import Sequence

from passgate.catalog.snapshot import Published, read_snapshot
from passgate.catalog.store import Versions
from passgate.core.jwks import thumbprint
from passgate.errors import DataError


def with_passed_on(own: Versions, bodies: Sequence[str], gate_id: str, signer: bytes) -> Versions:
    """The longer of a gate's `own` versions and those in `bodies`, which the key `signer` signed.

    Both are one catalog: a version that both have is the same. Raises `DataError` where it is not,
    and for bodies that are not versions 1 and on of the catalog of `gate_id`.
    """
    keys = {thumbprint(signer): signer}
    given: list[Published] = []
    for version, body in enumerate(bodies, start=1):
        try:
            read = read_snapshot(
                body.encode(),
                gate_id=gate_id,
                version=version,
                keys=keys,
                known=given[-1].catalog.entries if given else None,
            )
        except ValueError as error:
            raise DataError(
                f"version {version} of the catalog in the trust bundle cannot be used:"
                f" {'; '.join(map(str, error.args))}"
            ) from None
        given.append(read)
    for mine, theirs in zip(own.published, given, strict=False):
        if mine.catalog.content_hash != theirs.catalog.content_hash:
            raise DataError(
                f"version {mine.version} of the catalog in the trust bundle is another than the"
                " one that this gate has published: one of both gates needs another gate.id"
            )
    return Versions(tuple(given)) if len(given) > len(own.published) else own
