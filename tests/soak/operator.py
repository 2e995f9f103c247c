"""What an operator does to a running gate: revokes, rotates keys, changes and breaks its files."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.soak.passports import Passports
from tests.support.running_gate import RunningGate

_KEPT_REVOCATIONS = 50
_OFFERED = (
    "api:search", "api:items", "api:order", "api:bad", "api:events", "api:echo", "api:sometimes",
    "public",
)  # fmt: skip


class Operator:
    """Changes one thing after another. `done` counts what, by name."""

    def __init__(self, gate: RunningGate, passports: Passports) -> None:
        self._gate = gate
        self._passports = passports
        self._revoked: list[str] = []
        self._strict = True
        self._sometimes = False
        self._offered = True
        self.done: Counter[str] = Counter()
        self.write_keys()
        self.write_catalog()
        self.write_config()

    async def work(self, pause_s: float) -> None:
        """Goes on until it is cancelled."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("lists of revocations", self.revoke),
            ("durability changed", self.change_durability),
            ("keys rotated", self.rotate_keys),
            ("routes changed", self.change_routes),
            ("catalogs changed", self.change_catalog),
            ("broken configurations", self.break_config),
        ]
        while True:
            for name, step in steps:
                step()
                self.done[name] += 1
                await asyncio.sleep(pause_s)

    def revoke(self) -> None:
        """Revokes one passport more."""
        self._revoked.append(self._passports.next_doomed()[0])
        entries = [("passport", id_) for id_ in self._revoked[-_KEPT_REVOCATIONS:]]
        self._gate.revoke(*entries)

    def rotate_keys(self) -> None:
        """A new key, beside the one before it."""
        self._passports.next_key()
        self.write_keys()

    def change_durability(self) -> None:
        """From strict to relaxed, or back."""
        self._strict = not self._strict
        self.write_config()

    def change_routes(self) -> None:
        """A route more, or one less."""
        self._sometimes = not self._sometimes
        self.write_config()

    def change_catalog(self) -> None:
        """An entry more, or one less; a catalog is read when its gate is told to reload."""
        self._offered = not self._offered
        self.write_catalog()
        self._reload()

    def break_config(self) -> None:
        """A file that must be refused; then a sound one again."""
        self._gate.file.write_text("gate: {id: gate_test\n")
        self._reload()
        self.write_config()

    def _reload(self) -> None:
        assert self._gate.process is not None
        self._gate.process.send_signal(signal.SIGHUP)

    def write_keys(self) -> None:
        """The rotating issuer's keys."""
        keys = [key for issuer in self._passports.keys for key in issuer.jwks["keys"]]
        self._write("rotating.json", {"keys": keys})

    def write_catalog(self) -> None:
        """What is offered."""
        offered = [*_OFFERED, *(["api:offered"] if self._offered else [])]
        self._write("catalog.json", {"permissions": [{"key": key} for key in offered]})

    def write_config(self) -> None:
        """The whole of gate.yaml."""
        directory = self._gate.directory
        routes: list[dict[str, Any]] = [
            {"match": "GET /v1/search", "action": "api:search"},
            {"match": "POST /v1/items", "action": "api:items", "cost_cents": 1},
            {
                "match": "POST /v1/orders", "action": "api:order",
                "amount": "body:/amount", "vendor": "body:/vendor",
            },
            {"match": "POST /v1/broken", "action": "api:bad"},
            {"match": "POST /v1/gone", "action": "api:bad"},
            {"match": "GET /v1/events", "action": "api:events"},
            {"match": "GET /v1/echo", "action": "api:echo"},
            {"match": "GET /v1/offered", "action": "api:offered"},
            {"match": "ANY /public/**", "action": "public"},
        ]  # fmt: skip
        if self._sometimes:
            routes.append({"match": "GET /v1/sometimes", "action": "api:sometimes"})
        issuers = [
            {
                "id": issuer,
                "keys": f"file:{directory}/{keys}",
                "refresh": "1s",
                **lists,
            }
            for issuer, keys, lists in (
                (self._gate.issuer.id, "jwks.json",
                 {"revocations": f"file:{directory}/revocations.jwt"}),
                ("iss_rotating", "rotating.json", {"revocations": f"file:{directory}/none.json"}),
            )
        ]  # fmt: skip
        self._gate.write_config(
            issuers=issuers,
            actions={"routes": routes},
            catalog={"file": str(directory / "catalog.json")},
            anonymous={"enabled": True, "allowed_actions": ["public"]},
            limits={"header_timeout": "2s", "body_bytes": "1MiB"},
            audit={"durability": "strict" if self._strict else "relaxed", "rotate": "4MiB"},
        )

    def _write(self, name: str, document: dict[str, Any]) -> None:
        path = self._gate.directory / name
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(document))
        temporary.replace(path)
