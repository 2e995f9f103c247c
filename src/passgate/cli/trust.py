"""`passgate trust`: carries what one gate knows of its issuers to gates without a network."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from passgate.cli.exits import WRONG_USE, fail, note

if TYPE_CHECKING:
    from passgate.config import Config
    from passgate.core.keys import PublicKey
    from passgate.sync.bundle import Bundle, Imported, Part

trust_app = typer.Typer(
    help="Carries keys, lists and catalogs to gates without a network.",
    epilog="Example: passgate trust export --config gate.yaml --out trust.bundle",
    no_args_is_help=True,
)

_Config: TypeAlias = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration.")
]
_AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
_Bundle: TypeAlias = Annotated[Path, typer.Argument(metavar="FILE", help="The bundle.")]
_GATE_YAML = Path("gate.yaml")


@trust_app.command("export")
def export(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write it.")],
    config: _Config = _GATE_YAML,
    max_age: Annotated[
        str,
        typer.Option(metavar="DURATION", help="How old its parts may get at those who import it."),
    ] = "7d",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Read every source now, not the gate's last copies.")
    ] = False,
    keys_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write the key that signs it, for trust.bundle_keys."
        ),
    ] = None,
    as_json: _AsJson = False,
) -> None:
    """Writes what this gate knows of its issuers into one signed file.

    The gate's key signs it. It holds the keys and revocation lists of every issuer, as they were
    read last and with when that was, and all published versions of the catalog. Its version is the
    time in milliseconds.

    \b
    Example:
      passgate trust export --config gate.yaml --out trust.bundle \\
        --keys-out exporter.json
    """
    import json

    from passgate.clock import system_clock
    from passgate.core.jwks import thumbprint
    from passgate.errors import PassgateError
    from passgate.files import write_whole
    from passgate.log import open_gate_key
    from passgate.settings import catalog_store, issuer_settings, trust_store
    from passgate.sync.bundle import CatalogPart, look_into, write_bundle
    from passgate.sync.exporting import bundle_of, collect

    loaded = _load(config)
    max_age_s = _max_age_s(max_age)
    gate = loaded.gate
    try:
        gate.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = open_gate_key(gate.data_dir)
        parts = collect(
            issuer_settings(loaded),
            trust_store(loaded).bundle_file.parent,
            fresh=fresh,
            max_age_s=max_age_s,
            clock=system_clock,
        )
        published = catalog_store(loaded).read(key.public_key).published
        catalogs = [CatalogPart(gate.id, [each.body.decode() for each in published])]
        above = 0
        if out.exists():
            before, signer = look_into(out.read_bytes())
            above = before.version if signer == thumbprint(key.public_key) else 0
        bundle = bundle_of(
            parts,
            catalogs if published else [],
            gate_id=gate.id,
            now=system_clock().wall,
            above=above,
        )
        write_whole(out, [write_bundle(bundle, key)], 0o644)
        if keys_out is not None:
            write_whole(keys_out, [_jwks(key.public_key)], 0o644)
    except OSError as error:
        fail(f"{error.filename or out} cannot be read or written: {error.strerror}")
    except ValueError as error:
        fail(f"{out} cannot be written: {error}")
    except PassgateError as error:
        fail(error)
    for entry in loaded.issuers:
        if entry.passports is not None:
            note(f"the passports of {entry.id} that are presented by reference are not carried")
    about = _about(bundle, thumbprint(key.public_key))
    if as_json:
        typer.echo(json.dumps(about, indent=2))
        return
    typer.echo(f"Wrote {out}: version {bundle.version}, signed by key {about['signed_by']}.")
    _print_parts(about)


@trust_app.command("show")
def show(
    file: _Bundle,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The signer's keys (a JWKS): verify, and then show."),
    ] = None,
    as_json: _AsJson = False,
) -> None:
    """Shows whose bundle a file is, what is in it, and how old that is.

    Without --key nothing is verified, and nothing it says is to be believed.

    \b
    Example:
      passgate trust show trust.bundle --key exporter.json
    """
    import json

    from passgate.core.jwks import parse_jwks, thumbprint
    from passgate.sync.bundle import look_into, read_bundle

    raw = _read(file)
    try:
        if key is None:
            bundle, signer = look_into(raw)
        else:
            bundle, found = read_bundle(raw, parse_jwks(_read(key)))
            signer = thumbprint(found)
    except ValueError as error:
        fail(f"{file}: {error}")
    about = {**_about(bundle, signer), "verified": key is not None}
    if as_json:
        typer.echo(json.dumps(about, indent=2))
        return
    typer.echo(f"Trust bundle of {bundle.iss}, version {bundle.version}.")
    word = "verified" if key is not None else "NOT VERIFIED: give its key with --key"
    typer.echo(f"  signed by  {signer} ({word})")
    _print_parts(about)


@trust_app.command("import")
def import_(file: _Bundle, config: _Config = _GATE_YAML, as_json: _AsJson = False) -> None:
    """Verifies a trust bundle, and puts it in place for this gate.

    Its signer must be among trust.bundle_keys, and its version no lower than that of the bundle in
    place. A running gate has it in force within seconds, all of it or nothing; of each part what
    is newer counts, the bundle's or what a source has said.

    \b
    Example:
      passgate trust import trust.bundle --config gate.yaml
    """
    import asyncio
    import json

    from passgate.clock import system_clock
    from passgate.core.jwks import thumbprint
    from passgate.errors import PassgateError
    from passgate.settings import bundle_keys, find_offer, trust_store
    from passgate.sync.bundle import MAX_AHEAD_S, Imported, look_into, read_bundle

    loaded = _load(config)
    now = system_clock()
    raw = _read(file)
    keys: dict[str, PublicKey] = bundle_keys(loaded)
    if not keys:
        fail(f"{loaded.file} names no trust.bundle_keys, so no bundle is trusted", WRONG_USE)
    store = trust_store(loaded)
    try:
        bundle, signer = read_bundle(raw, keys)
    except ValueError as error:
        fail(f"{file}: {error}")
    if bundle.iat > now.wall + MAX_AHEAD_S:
        fail(f"{file} was made in the future: see to the clocks of both gates")
    imported = Imported(bundle, signer, now)
    try:
        in_place = store.load_bundle(now)
        again = in_place is not None and in_place[0] == raw
        if in_place is not None and not again:
            # Verified when it came; its signer need not be one who is trusted now.
            highest = look_into(in_place[0])[0].version
            if bundle.version <= highest:
                fail(
                    f"{file} is of version {bundle.version}, and version {highest} is in place: "
                    "export a newer one"
                )
        taken = asyncio.run(_tried(loaded, imported))
        find_offer(loaded, imported)
        if not again:
            store.save_bundle(raw, now)
    except OSError as error:
        fail(f"{store.bundle_file} cannot be written: {error.strerror}")
    except PassgateError as error:
        fail(error)
    used = {(part.issuer, part.kind) for part in taken}
    about = {**_about(bundle, thumbprint(signer)), "again": again}
    for row in about["parts"]:
        row["taken"] = (row["issuer"], row["kind"]) in used
    _tell_unused(loaded, bundle)
    if as_json:
        typer.echo(json.dumps(about, indent=2))
        return
    word = "was in place already" if again else "is in place"
    typer.echo(f"Version {bundle.version} of {bundle.iss} {word}.")
    _print_parts(about)


async def _tried(config: "Config", imported: "Imported") -> "list[Part]":
    """What the gate will take of it, beside its last good copies; nothing is changed."""
    from passgate.settings import issuer_settings, trust_store
    from passgate.sync.keeper import Keeper

    keeper = Keeper(issuer_settings(config), trust_store(config))
    await keeper.recall()
    return await keeper.adopt(imported)


def _tell_unused(config: "Config", bundle: "Bundle") -> None:
    known = {entry.id for entry in config.issuers}
    for name in sorted({part.issuer for part in bundle.parts} - known):
        note(f"{name} is not among the issuers of {config.file}, and its parts are not used")
    for part in bundle.catalogs:
        if part.gate_id != config.gate.id:
            note(f"the catalog of {part.gate_id} is another gate's, and is not used")


def _load(path: Path) -> "Config":
    """The configuration, or the end of the command with every problem, one in a line."""
    from passgate.config import load_config
    from passgate.errors import ConfigError

    try:
        return load_config(path, os.environ, secrets=False).config
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(WRONG_USE) from None


def _read(file: Path) -> bytes:
    from passgate.sync.bundle import MAX_BUNDLE_BYTES

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", WRONG_USE)


def _max_age_s(written: str) -> int:
    from passgate.core.constraints.values import duration_s
    from passgate.sync.bundle import MAX_AGE_S

    try:
        seconds = int(duration_s(written))
    except ValueError as error:
        fail(f"--max-age {error}", WRONG_USE)
    if not 0 < seconds <= MAX_AGE_S:
        fail(f"--max-age must be from 1s to {MAX_AGE_S // 86_400}d", WRONG_USE)
    return seconds


def _jwks(public_key: bytes) -> bytes:
    import json

    from passgate.core.jwks import thumbprint
    from passgate.core.jws import encode_base64url

    jwk = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": encode_base64url(public_key).decode(),
        "kid": thumbprint(public_key),
    }
    return json.dumps({"keys": [jwk]}, indent=2).encode() + b"\n"


def _about(bundle: "Bundle", signer: str) -> dict[str, Any]:
    """All of a bundle but the bodies."""
    import time

    now = time.time()
    return {
        "version": bundle.version,
        "gate_id": bundle.iss,
        "exported_at": bundle.iat,
        "signed_by": signer,
        "parts": [
            {
                "issuer": part.issuer,
                "kind": part.kind,
                "source": part.source,
                "read_at": part.read_at,
                "age_s": max(0, int(now - part.read_at)),
                "max_age_s": part.max_age_s,
                "bytes": len(part.body.encode()),
            }
            for part in bundle.parts
        ],
        "catalogs": [
            {"gate_id": each.gate_id, "versions": len(each.versions)} for each in bundle.catalogs
        ],
    }


def _print_parts(about: dict[str, Any]) -> None:
    for part in about["parts"]:
        late = "  TOO OLD" if part["age_s"] > part["max_age_s"] else ""
        late += "" if part.get("taken", True) else "  not newer than what is known"
        typer.echo(
            f"  {part['issuer']:<24} {part['kind']:<12} {part['age_s']} s old, "
            f"good for {part['max_age_s']} s{late}"
        )
    for each in about["catalogs"]:
        count = each["versions"]
        typer.echo(
            f"  {each['gate_id']:<24} {'catalog':<12} {count} version{'' if count == 1 else 's'}"
        )
