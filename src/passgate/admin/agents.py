"""The operator's API for agents: what one has used and spent."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from passgate.admin.operations import Operations

AGENT_ROLES: Final = {("GET", "/api/agents/{id}/usage"): "viewer"}
"""Which role each of these routes needs."""


class AgentsApi:
    """The handlers."""

    def __init__(self, operations: Operations, problem: Callable[[int, str], web.Response]) -> None:
        self._operations = operations
        self._problem = problem

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Adds every route of `AGENT_ROLES`."""
        # An id may hold slashes, as those of delegated agents do.
        router.add_get("/api/agents/{id:.+}/usage", self.usage)

    async def usage(self, request: web.Request) -> web.Response:
        """Every counter of the agent, by issuer; `issuer` picks one."""
        query = dict(request.query)
        issuer = query.pop("issuer", "")
        if query or len(request.query) > 1:
            return self._problem(400, "Known parameter, once: issuer.")
        try:
            found = await self._operations.usage(request.match_info["id"], issuer)
        except LookupError as error:
            return self._problem(404, str(error))
        return web.json_response(found)
