"""Shows a configuration as it counts: every key, defaults included, secrets as references only."""

from typing import Any

import yaml

from passgate.config.model import Config


class _Dumper(yaml.SafeDumper):
    """Writes no aliases: the loader refuses them."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def effective_yaml(config: Config) -> str:
    """The effective configuration as YAML; loaded again it gives the same Config.

    Paths are absolute, so it means the same wherever the file lies. A literal `${` is escaped.
    """
    return yaml.dump(
        _escaped(config.effective),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
    )


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value
