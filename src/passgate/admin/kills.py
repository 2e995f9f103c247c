"""The operator's API for the kill switch: what is stopped, stopping more, and lifting it again."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from aiohttp import web

from passgate.admin.bodies import read_object
from passgate.admin.operations import Operations
from passgate.core.kills import Kill
from passgate.errors import OrderError

KILL_ROLES: Final = {
    ("GET", "/api/kill"): "viewer",
    ("POST", "/api/kill"): "admin",
    ("DELETE", "/api/kill/{id}"): "admin",
}
"""Which role each of these routes needs."""

_MEMBERS: Final = frozenset({"kind", "id", "issuer", "reason"})


class KillsApi:
    """The handlers. `operator` names whoever presents a request's token."""

    def __init__(
        self,
        operations: Operations,
        operator: Callable[[web.Request], str],
        problem: Callable[[int, str], web.Response],
    ) -> None:
        self._operations = operations
        self._operator = operator
        self._problem = problem

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Adds every route of `KILL_ROLES`."""
        router.add_get("/api/kill", self.kills)
        router.add_post("/api/kill", self.stop)
        # An id may hold slashes, as those of delegated agents do.
        router.add_delete("/api/kill/{id:.+}", self.lift)

    async def kills(self, _: web.Request) -> web.Response:
        """What is stopped, in the order in which it was."""
        return web.json_response({"kills": [_shown(kill) for kill in self._operations.kills()]})

    async def stop(self, request: web.Request) -> web.Response:
        """201 with the kill, or 200 with the one that stops this already; both are on disk."""
        try:
            order = await read_object(request, _MEMBERS)
            stopped = await self._operations.stop(
                order.get("kind", ""),
                order.get("id", ""),
                order.get("issuer", ""),
                order.get("reason", ""),
                self._operator(request),
            )
        except ValueError as error:
            return self._problem(400, str(error))
        except OrderError as error:
            return self._problem(503, str(error))
        return web.json_response(
            {**_shown(stopped.kill), "new": stopped.new, "warnings": list(stopped.warnings)},
            status=201 if stopped.new else 200,
        )

    async def lift(self, request: web.Request) -> web.Response:
        """200 with the kill that is no more: the one of this id, or the one that stops this."""
        try:
            kill = await self._operations.lift(request.match_info["id"], self._operator(request))
        except LookupError as error:
            return self._problem(404, str(error))
        except ValueError as error:
            return self._problem(409, str(error))
        except OrderError as error:
            return self._problem(503, str(error))
        return web.json_response(_shown(kill))


def _shown(kill: Kill) -> dict[str, Any]:
    return asdict(kill)
