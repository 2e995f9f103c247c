"""The demo's operator: approves what waits, and stops agents, through the gate's admin API."""

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

_PATIENCE_S = 10.0


class Operator:
    """Whoever holds the token of the admin listener on `port`. An order that is refused raises."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token

    def give(self, order: str, agent: str) -> None:
        """Carries out `approve` (all that waits), `stop` or `lift` (the agent)."""
        if order == "approve":
            for held in self._ask("GET", "/api/holds?state=pending")["holds"]:
                self._ask("POST", f"/api/holds/{held['id']}/approve", {"reason": "seen"})
        elif order == "stop":
            self._ask("POST", "/api/kill", {"kind": "agent", "id": agent, "reason": "a demo"})
        else:
            self._ask("DELETE", f"/api/kill/{quote(agent, safe='')}")

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body)
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE_S)
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {said!r}")
        return json.loads(said)
