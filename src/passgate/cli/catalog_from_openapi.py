"""`passgate catalog from-openapi`: routes and a catalog from an API's own description."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passgate.cli.exits import WRONG_USE, fail, note

if TYPE_CHECKING:
    from passgate.openapi import Translation


def from_openapi(
    spec: Annotated[
        Path,
        typer.Argument(metavar="SPEC", help="An OpenAPI 3.0 or 3.1 document, JSON or YAML."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write catalog.yaml and routes.yaml."),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead: where to write the catalog.")
    ] = None,
    routes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead: where to write the routes.")
    ] = None,
    base_path: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="What comes before each path; else the first server's."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Writes a catalog and routes from an OpenAPI document.

    Each operation becomes a route and an action, `tag:operation`. What has no route of its own, or
    one that matches more than the document says, is told; so is every name that had to change. Risk
    levels are guessed from methods; prices and limits are yours to add. References into other
    documents are not read.

    \b
    Example:
      passgate catalog from-openapi openapi.yaml --out .
      passgate catalog from-openapi api.json --catalog offer.yaml --routes r.yaml
    """
    import json

    from passgate.openapi import catalog_text, routes_text

    if (out is None) == (catalog is None and routes is None) or (catalog is None) != (
        routes is None
    ):
        fail("give --out DIR, or both --catalog FILE and --routes FILE", WRONG_USE)
    if base_path is not None and not base_path.startswith("/"):
        fail("--base-path begins with a slash", WRONG_USE)
    if out is not None:
        catalog, routes = out / "catalog.yaml", out / "routes.yaml"
    assert catalog is not None
    assert routes is not None
    made = _translation(spec, base_path)
    texts = {catalog: catalog_text(made), routes: routes_text(made)}
    _write(texts, force)
    _warn_of_size(texts[catalog], texts[routes])
    if as_json:
        files = {"catalog": str(catalog), "routes": str(routes)}
        typer.echo(json.dumps({**_about(made), "files": files}, indent=2, ensure_ascii=False))
        return
    for each in made.notes:
        typer.echo(each)
    counts = _about(made)["counts"]
    typer.echo(
        f"{counts['operations']} operations: {counts['routes']} routes, "
        f"{counts['left_out'] + counts['conflict']} not routed, {counts['widened']} widened"
    )
    public = sum(each.public for each in made.operations)
    if public:
        typer.echo(f"{public} need no credentials by the document: see anonymous.allowed_actions")
    typer.echo(f"Wrote {catalog} and {routes}. In gate.yaml: the content of {routes}, and")
    typer.echo(f"catalog: {{file: {json.dumps(str(catalog.absolute()), ensure_ascii=False)}}}")


def _translation(spec: Path, base_path: str | None) -> "Translation":
    from passgate.openapi import read_document, translate
    from passgate.openapi.document import MAX_DOCUMENT_BYTES

    try:
        with spec.open("rb") as file:
            raw = file.read(MAX_DOCUMENT_BYTES + 1)
        return translate(read_document(raw), base_path)
    except OSError as error:
        fail(f"{spec} cannot be read: {error.strerror}", WRONG_USE)
    except ValueError as error:
        fail(f"{spec}: {error}")


def _write(files: dict[Path, str], force: bool) -> None:
    there = [file for file in files if file.exists()]
    if there and not force:
        fail(f"{there[0]} exists; choose another name, or write over it with --force")
    for file, text in files.items():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror}")


def _warn_of_size(catalog: str, routes: str) -> None:
    """Says where a gate would not read what was written: some documents have 20,000 operations."""
    from passgate.config.catalog_file import MAX_CATALOG_BYTES
    from passgate.config.yaml_loader import MAX_BYTES

    if len(routes.encode()) > MAX_BYTES:
        note(f"warning: gate.yaml may have {MAX_BYTES >> 10} KiB, which these routes exceed")
    if len(catalog.encode()) > MAX_CATALOG_BYTES:
        note(f"warning: a catalog may have {MAX_CATALOG_BYTES >> 20} MiB, which this one exceeds")


def _about(made: "Translation") -> dict[str, Any]:
    from passgate.openapi.notes import KINDS

    return {
        "base_path": made.base_path,
        "counts": {
            "operations": made.found,
            "routes": len(made.operations),
            **{kind: made.count(kind) for kind in KINDS},
        },
        "public_actions": [each.action for each in made.operations if each.public],
        "notes": [
            {"kind": each.kind, "where": each.where, "sentence": each.sentence}
            for each in made.notes
        ],
    }
