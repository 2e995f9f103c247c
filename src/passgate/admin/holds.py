"""The operator's API for holds: what waits for a person, and that person's word."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from passgate.admin.bodies import read_object
from passgate.admin.operations import Operations
from passgate.approvals.desk import NotDecided
from passgate.approvals.held import STATES
from passgate.errors import DataError

_STATUSES: Final = {"unknown": 404, "ended": 409, "agent": 403, "storage": 503}
_MAX_REASON: Final = 1000
_MEMBERS: Final = frozenset({"reason"})

HOLD_ROLES: Final = {
    ("GET", "/api/holds"): "viewer",
    ("GET", "/api/holds/{id}"): "viewer",
    ("POST", "/api/holds/{id}/approve"): "approver",
    ("POST", "/api/holds/{id}/deny"): "approver",
    ("GET", "/api/letters"): "viewer",
    ("POST", "/api/letters/{id}/resend"): "approver",
}
"""Which role each of these routes needs."""


class HoldsApi:
    """The handlers. `approver` names whoever presents a request's token."""

    def __init__(
        self,
        operations: Operations,
        approver: Callable[[web.Request], str],
        problem: Callable[[int, str], web.Response],
    ) -> None:
        self._operations = operations
        self._approver = approver
        self._problem = problem

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Adds every route of `HOLD_ROLES`."""
        router.add_get("/api/holds", self.holds)
        router.add_get("/api/holds/{id}", self.hold)
        router.add_post("/api/holds/{id}/approve", self.approve)
        router.add_post("/api/holds/{id}/deny", self.deny)
        router.add_get("/api/letters", self.letters)
        router.add_post("/api/letters/{id}/resend", self.resend)

    async def holds(self, request: web.Request) -> web.Response:
        """Everything that is held or remembered, the newest first; `state` picks some."""
        query = dict(request.query)
        state = query.pop("state", "")
        if query or len(request.query) > 1 or (state and state not in STATES):
            return self._problem(400, f"Known parameter: state, one of {', '.join(STATES)}.")
        return web.json_response({"holds": self._operations.holds(state)})

    async def hold(self, request: web.Request) -> web.Response:
        """One hold, with the beginning of its target and body while it waits."""
        known = self._operations.hold(request.match_info["id"])
        if known is None:
            return self._problem(404, "No such hold is known.")
        return web.json_response(known)

    async def approve(self, request: web.Request) -> web.Response:
        """Lets the request pass once, when it is sent again."""
        return await self._decide(request, approve=True)

    async def deny(self, request: web.Request) -> web.Response:
        """Refuses it, and its repetition for a while."""
        return await self._decide(request, approve=False)

    async def letters(self, _: web.Request) -> web.Response:
        """Events that the webhook has not taken: what waits, and what is given up."""
        return web.json_response({"letters": self._operations.letters()})

    async def resend(self, request: web.Request) -> web.Response:
        """Puts a dead letter in line again, or `all` of them."""
        if request.body_exists:
            return self._problem(400, "This order has no body.")
        try:
            sent = await self._operations.resend(request.match_info["id"])
        except LookupError as error:
            return self._problem(404, str(error).capitalize() + ".")
        except DataError as error:
            return self._problem(503, f"Nothing is sent again: {error}.")
        return web.json_response({"resent": sent})

    async def _decide(self, request: web.Request, *, approve: bool) -> web.Response:
        try:
            said = await read_object(request, _MEMBERS) if request.body_exists else {}
            reason = _checked(said.get("reason", ""))
        except ValueError as error:
            return self._problem(400, str(error))
        decided = await self._operations.decide_hold(
            request.match_info["id"],
            approve=approve,
            approver=self._approver(request),
            reason=reason,
        )
        if isinstance(decided, NotDecided):
            return self._problem(_STATUSES[decided.why], decided.detail)
        return web.json_response(decided)


def _checked(reason: str) -> str:
    """A reason that can stand in a record and on a terminal, else `ValueError`."""
    if len(reason) > _MAX_REASON or not reason.isprintable():
        raise ValueError(f"reason is at most {_MAX_REASON} printable characters.")
    return reason
