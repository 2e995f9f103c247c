"""`passgate catalog`: publishes what the gate offers, and shows what was published."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from passgate.cli.exits import WRONG_USE, fail

if TYPE_CHECKING:
    from passgate.catalog import Published, Versions
    from passgate.config import Config
    from passgate.core.catalog import Catalog

catalog_app = typer.Typer(
    help="Publishes the catalog in signed versions, and shows them.",
    epilog="Example: passgate catalog publish --config gate.yaml",
    no_args_is_help=True,
)

_File: TypeAlias = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration.")
]
_AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
_GATE_YAML = Path("gate.yaml")


@catalog_app.command("publish")
def publish(config: _File = _GATE_YAML, as_json: _AsJson = False) -> None:
    """Makes the next version of the catalog from its file.

    It is signed by the gate's key, and a running gate puts it in force within seconds. Versions
    never change; passports that are pinned to an older one keep its terms. Prints the version's
    hash and what changed; a catalog without any change makes no version.

    \b
    Example:
      passgate catalog publish --config gate.yaml
    """
    import json
    import time

    from passgate.catalog import publish as make_version
    from passgate.errors import PassgateError
    from passgate.log import open_gate_key
    from passgate.settings import catalog_store

    loaded = _load(config)
    authored = _authored(loaded)
    gate = loaded.gate
    try:
        gate.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = make_version(
            catalog_store(loaded), authored, gate.id, open_gate_key(gate.data_dir), time.time()
        )
    except OSError as error:
        fail(f"gate.data_dir {gate.data_dir} cannot be made: {error.strerror}")
    except PassgateError as error:
        fail(error)
    about = _about(gate.id, made.published)
    if as_json:
        typer.echo(json.dumps({**about, "made": made.made}, indent=2))
        return
    if not made.made:
        typer.echo(f"Nothing changed since version {made.published.version}; no version was made.")
        _print_about(about)
        return
    typer.echo(f"Published version {made.published.version} of the catalog of {gate.id}.")
    _print_about(about)
    _print_changes(about["changes"])


@catalog_app.command("diff")
def diff(config: _File = _GATE_YAML, as_json: _AsJson = False) -> None:
    """Says what publishing the file would change.

    Breaking is what takes something from those who agreed: a permission removed, a price or a fee
    up, a promise of service down.

    \b
    Example:
      passgate catalog diff --config gate.yaml
    """
    import json

    from passgate.catalog import differences

    loaded = _load(config)
    authored = _authored(loaded)
    versions = _versions(loaded)
    found = differences(versions, authored)
    newest = versions.newest
    shown = [change.as_json() for change in found]
    about = {
        "version": 0 if newest is None else newest.version,
        "has_breaking_changes": any(change.breaking for change in found),
        "changes": shown,
    }
    if as_json:
        typer.echo(json.dumps(about, indent=2))
        return
    against = "nothing is published" if newest is None else f"against version {newest.version}"
    typer.echo(f"{len(found)} change{'' if len(found) == 1 else 's'} ({against})")
    _print_changes(shown)


@catalog_app.command("show")
def show(
    version: Annotated[
        int | None,
        typer.Argument(metavar="VERSION", help="A published version; the one in force if absent."),
    ] = None,
    config: _File = _GATE_YAML,
    as_json: _AsJson = False,
) -> None:
    """Shows a version of the catalog, and the hash that pins need.

    All versions are listed below it. With --json it is the signed document, as agents are served
    it. Without any published version it is what catalog.file holds, version 0.

    \b
    Example:
      passgate catalog show
      passgate catalog show 1 --json > catalog-1.json
    """
    loaded = _load(config)
    versions = _versions(loaded)
    newest = versions.newest
    if newest is None and version in (None, 0):
        _show_unpublished(loaded, as_json)
        return
    wanted = version if version is not None or newest is None else newest.version
    found = next((each for each in versions.published if each.version == wanted), None)
    if found is None:
        fail(f"there is no version {version}: {_range(versions)}")
    if as_json:
        typer.echo(found.body.decode(), nl=False)
        return
    about = _about(loaded.gate.id, found)
    in_force = ", in force" if found is newest else ""
    typer.echo(f"Version {found.version} of the catalog of {loaded.gate.id}{in_force}.")
    _print_about(about)
    _print_entries(found.catalog)
    _print_changes(about["changes"])
    typer.echo("\nversions:")
    for each in versions.published:
        breaking = "  breaking" if each.has_breaking_changes else ""
        typer.echo(f"{each.version:>5}  {each.published_at}  {each.catalog.content_hash}{breaking}")


def _show_unpublished(config: "Config", as_json: bool) -> None:
    import json

    authored = _authored(config)
    pin = {"version": authored.version, "content_hash": authored.content_hash}
    if as_json:
        document = {"gate_id": config.gate.id, **pin, "catalog_snapshot": config.catalog.document}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    typer.echo(f"The catalog of {config.gate.id} is not published: it is served from its file.")
    _print_about({**pin, "pin": {config.gate.id: pin}})
    _print_entries(authored)


def _load(path: Path) -> "Config":
    """The configuration, or the end of the command with every problem, one in a line."""
    from passgate.config import load_config
    from passgate.errors import ConfigError

    try:
        return load_config(path, os.environ).config
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(WRONG_USE) from None


def _authored(config: "Config") -> "Catalog":
    if config.catalog.compiled is None:
        fail(f"{config.file} names no catalog.file, so there is nothing to publish", WRONG_USE)
    return config.catalog.compiled


def _versions(config: "Config") -> "Versions":
    from passgate.errors import PassgateError
    from passgate.settings import find_offer

    try:
        return find_offer(config).versions
    except PassgateError as error:
        fail(error)


def _range(versions: "Versions") -> str:
    count = len(versions.published)
    return f"there are 1 to {count}" if count else "nothing is published"


def _about(gate_id: str, published: "Published") -> dict[str, Any]:
    """All of a version but its permissions; `pin` is what `catalogs` of a passport needs."""
    pin = {"version": published.version, "content_hash": published.catalog.content_hash}
    return {
        "gate_id": gate_id,
        **pin,
        "published_at": published.published_at,
        "signing_key_id": published.key_id,
        "has_breaking_changes": published.has_breaking_changes,
        "changes": published.changes,
        "pin": {gate_id: pin},
    }


def _print_about(about: dict[str, Any]) -> None:
    ((gate_id, pin),) = about["pin"].items()
    typer.echo(f"  hash       {about['content_hash']}")
    if "published_at" in about:
        typer.echo(f"  published  {about['published_at']}, signed by key {about['signing_key_id']}")
    typer.echo(f"  to pin     --pin {gate_id}={pin['version']}@{pin['content_hash']}")


def _print_entries(catalog: "Catalog") -> None:
    typer.echo("\npermissions:")
    for entry in catalog.entries.values():
        cents = entry.terms.call_cents
        price = "" if cents is None else f"{cents} cents a call"
        risk = entry.authored.get("risk_level", "")
        typer.echo(f"  {entry.key:<32} {entry.min_tier}  {risk:<9}{price}".rstrip())


def _print_changes(changes: "list[dict[str, Any]]") -> None:
    import json

    if not changes:
        return
    typer.echo("\nchanges:")
    for change in changes:
        line = f"  {'breaking' if change['breaking'] else '':<9}{change['type']:<20}"
        line += change["permission_key"]
        if "key" in change:
            before, after = (json.dumps(change[end], ensure_ascii=False) for end in ("from", "to"))
            line += f"  {change['key']}: {before} -> {after}"
        typer.echo(line)
