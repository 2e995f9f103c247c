"""From a file to a Config: the one way in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from passgate.config.assembly import assemble
from passgate.config.catalog_file import read_catalog
from passgate.config.environment import expand
from passgate.config.keys import KEYS, Key
from passgate.config.kinds import BAD, At, Section
from passgate.config.model import Config
from passgate.config.problems import Problem, Problems
from passgate.config.profile_checks import settle_profile
from passgate.config.reading import read_tree
from passgate.config.validation import validate
from passgate.config.yaml_loader import MAX_BYTES, Broken, read_yaml
from passgate.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration that can be used, and what is probably not meant in it.

    Each warning is `file:line: sentence`.
    """

    config: Config
    warnings: tuple[str, ...]


def load_config(path: Path, environ: Mapping[str, str], *, secrets: bool = True) -> LoadedConfig:
    """Reads the gate.yaml at `path`, with `environ` for `${VAR}` and `env:NAME`.

    Without `secrets` none is read, so that whoever needs none may be anybody: each has its
    reference and the value "".

    Raises `ConfigError` with every problem at once, each `file:line: sentence`, sorted by line; and
    nothing else, whatever the file holds.
    """
    problems = Problems(str(path))
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        problem = Problem(str(path), 0, f"this file cannot be read: {error.strerror}")
        raise ConfigError([str(problem)]) from None
    node = read_yaml(raw, problems, expand=lambda text: expand(text, environ))
    if isinstance(node, Broken):
        problems.raise_if_any()
    at = At("", problems, path.absolute().parent, environ, {}, secrets)
    tree = read_tree(node, at)
    catalog = None
    catalog_file = tree["catalog"]["file"] if tree and tree["catalog"] is not BAD else None
    if catalog_file not in (None, BAD):
        line = at.lines.get("catalog.file", 1)
        catalog = read_catalog(catalog_file, problems, line)
    offered = None if catalog is None else catalog.compiled.entries.keys()
    if tree:
        settle_profile(tree, at)
        validate(tree, at, offered)
    problems.raise_if_any()
    return LoadedConfig(assemble(tree, path, at.lines, catalog), tuple(problems.warnings))


def needs_restart(old: Config, new: Config) -> list[str]:
    """The keys that differ and that only a new start can change, in the order of the table."""
    changed = [
        row.path
        for row in KEYS
        if row.restart
        and "*" not in row.path
        and _part(row, _value_at(old, row.path)) != _part(row, _value_at(new, row.path))
    ]
    # What is effective shows where a secret is read, not whether it is another one now.
    if old.admin != new.admin and not any(path.startswith("admin.") for path in changed):
        changed.append("admin.token")
    if old.trust != new.trust and "trust.bundle_keys" not in changed:
        changed.append("trust.bundle_keys")
    if old.ledger != new.ledger and not any(path.startswith("ledger.") for path in changed):
        changed.append("ledger.password")
    return changed


def _part(row: Key, value: object) -> object:
    """What of a value only a new start can change: of a section whether it is there, for its keys
    have rows of their own."""
    return value is None if isinstance(row.kind, Section) else value


def _value_at(config: Config, path: str) -> object:
    value: object = config.effective
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
