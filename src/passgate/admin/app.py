"""The admin listener: health, metrics and the operator's API, on an address of its own."""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from passgate.admin.agents import AGENT_ROLES, AgentsApi
from passgate.admin.holds import HOLD_ROLES, HoldsApi
from passgate.admin.kills import KILL_ROLES, KillsApi
from passgate.admin.metrics import metrics_text
from passgate.admin.operations import Operations, RecordQuery

ROLES = {"viewer": 1, "approver": 2, "admin": 3}
"""Each role may do what those below it may."""

# By the path as it is routed, such as /api/holds/{id}; what is not here is for admins alone.
_ROUTE_ROLES: Mapping[tuple[str, str], str] = {
    ("GET", "/api/trust"): "viewer",
    ("GET", "/api/records"): "viewer",
    ("POST", "/api/reload"): "admin",
    **AGENT_ROLES,
    **KILL_ROLES,
    **HOLD_ROLES,
}
_MAX_RECORDS = 1000

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Token:
    """One bearer token: who holds it, and what that one may do. The secret is never printed."""

    name: str
    role: str
    secret: bytes = field(repr=False)


def make_app(
    operations: Operations, tokens: tuple[Token, ...], metrics_token: bytes | None, host: str
) -> web.Application:
    """The application; `host` is the name or address that the listener was told to use."""
    admin = _Admin(operations, tokens, metrics_token, host.lower())
    app = web.Application(middlewares=[admin.guard], client_max_size=16 * 1024)
    app.router.add_get("/livez", admin.livez)
    app.router.add_get("/readyz", admin.readyz)
    app.router.add_get("/metrics", admin.metrics)
    app.router.add_get("/api/trust", admin.trust)
    app.router.add_get("/api/records", admin.records)
    app.router.add_post("/api/reload", admin.reload)
    AgentsApi(operations, _problem).add_to(app.router)
    KillsApi(operations, admin.name_of, _problem).add_to(app.router)
    HoldsApi(operations, admin.name_of, _problem).add_to(app.router)
    return app


class _Admin:
    def __init__(
        self,
        operations: Operations,
        tokens: tuple[Token, ...],
        metrics_token: bytes | None,
        host: str,
    ) -> None:
        self._operations = operations
        self._tokens = tokens
        self._metrics_token = metrics_token
        self._host = host
        self._render_metrics = metrics_text(operations)

    @web.middleware
    async def guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Refuses a foreign Host (a page in the operator's browser) and a missing token."""
        if not _host_is_expected(request.headers.get("Host", ""), self._host):
            return _problem(421, "This listener does not answer for that Host.")
        if request.path == "/api" or request.path.startswith("/api/"):
            refused = self._refused(request)
            if refused is not None:
                return refused
        try:
            response = await handler(request)
        except web.HTTPException as error:
            # No such path, or not by this method: in the words of everything else here.
            response = _problem(error.status, error.reason)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        response.headers["Cache-Control"] = "no-store"
        return response

    def _refused(self, request: web.Request) -> web.Response | None:
        if not self._tokens:
            return _problem(404, "The admin API is off; admin.token turns it on.")
        holder = self.holder(request)
        if holder is None:
            return _unauthorized("The admin API needs one of its bearer tokens.")
        resource = request.match_info.route.resource
        path = request.path if resource is None else resource.canonical
        needed = _ROUTE_ROLES.get((request.method, path), "admin")
        if ROLES[holder.role] < ROLES[needed]:
            return _problem(403, f"This needs the role {needed}.")
        if request.can_read_body and request.content_type != "application/json":
            # Nor would a page's form be JSON, if one ever came to have a token.
            return _problem(415, "A body must be application/json.")
        if "Content-Encoding" in request.headers:
            return _problem(415, "A body must have no content coding.")
        return None

    def holder(self, request: web.Request) -> Token | None:
        """Whose token a request presents."""
        presented = _bearer(request)
        holder = None
        for token in self._tokens:
            # All are compared, so that the time says nothing about which one was close. An empty
            # secret is nobody's: it would let in whoever presents nothing.
            if hmac.compare_digest(token.secret, presented) and presented:
                holder = token
        return holder

    def name_of(self, request: web.Request) -> str:
        """The name of whoever a request under /api comes from, for the record."""
        holder = self.holder(request)
        assert holder is not None, "the guard lets nobody else in"
        return holder.name

    async def livez(self, _: web.Request) -> web.Response:
        """200 while the process turns; says nothing about its neighbours."""
        return web.json_response({"status": "live"})

    async def readyz(self, _: web.Request) -> web.Response:
        """200 or 503, with each dependency and its age."""
        readiness = self._operations.readiness()
        return web.json_response(
            {
                "status": "ready" if readiness.ready else "not ready",
                "dependencies": list(readiness.dependencies),
            },
            status=200 if readiness.ready else 503,
        )

    async def metrics(self, request: web.Request) -> web.Response:
        """The Prometheus text format; with `admin.metrics_token` only for its holder."""
        needed = self._metrics_token
        presented = _bearer(request)
        if needed is not None and not (presented and hmac.compare_digest(needed, presented)):
            return _unauthorized("The metrics need their bearer token.")
        return web.Response(
            body=self._render_metrics(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def trust(self, _: web.Request) -> web.Response:
        """What the gate knows of its issuers."""
        return web.json_response({"issuers": self._operations.trust_status()})

    async def records(self, request: web.Request) -> web.Response:
        """The newest log lines that match `decision`, `reason`, `agent`, `decision_id`, `limit`."""
        query = dict(request.query)
        wanted: RecordQuery | None
        try:
            wanted = RecordQuery(limit=int(query.pop("limit", "50")), **query)
        except (ValueError, TypeError):
            wanted = None
        if wanted is None or len(set(request.query)) < len(request.query):
            return _problem(
                400,
                "Known parameters, once each: limit (a number), decision, reason, agent,"
                " decision_id.",
            )
        if not 1 <= wanted.limit <= _MAX_RECORDS:
            return _problem(400, f"limit is from 1 to {_MAX_RECORDS}.")
        return web.json_response({"records": await self._operations.records(wanted)})

    async def reload(self, _: web.Request) -> web.Response:
        """200 with the new world in force, or 409 with every problem and the old one kept."""
        reloaded = await self._operations.reload()
        body = {"problems": list(reloaded.problems), "warnings": list(reloaded.warnings)}
        return web.json_response(body, status=409 if reloaded.problems else 200)


def _bearer(request: web.Request) -> bytes:
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    return (
        credential.strip().encode("utf-8", "surrogateescape") if scheme.lower() == "bearer" else b""
    )


def _host_is_expected(header: str, configured: str) -> bool:
    """Whether a browser page that rebound a DNS name cannot have sent this Host.

    Such a page sends its own name; addresses, `localhost` and the configured name are ours.
    """
    name = header.lower()
    port = ""
    if name.startswith("["):
        name, _, port = name[1:].partition("]")
    elif name.count(":") <= 1:
        name, _, port = name.partition(":")
    if port.strip(":0123456789"):
        return False
    if name in ("localhost", configured):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _unauthorized(detail: str) -> web.Response:
    answer = _problem(401, detail)
    answer.headers["WWW-Authenticate"] = 'Bearer realm="passgate admin"'
    return answer


def _problem(status: int, detail: str) -> web.Response:
    body: dict[str, Any] = {"status": status, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")
