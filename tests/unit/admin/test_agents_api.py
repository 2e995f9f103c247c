"""The operator's API for agents: whose usage is asked for, and by whom."""

from aiohttp import ClientResponse
from tests.unit.admin.test_admin_app import Ask, serving


def test_usage_is_told_to_whoever_may_look() -> None:
    """Of an agent whose id may hold slashes; the issuer picks one."""

    async def work(ask: Ask) -> None:
        async def told(answer: ClientResponse) -> tuple[int, object]:
            return answer.status, await answer.json()

        path = "/api/agents/agent_7%2Fhelper/usage"
        assert await told(await ask("GET", path, "see")) == (
            200,
            {"agent": "agent_7/helper", "issuer": ""},
        )
        assert await told(await ask("GET", f"{path}?issuer=iss_lab", "all")) == (
            200,
            {"agent": "agent_7/helper", "issuer": "iss_lab"},
        )
        assert (await ask("GET", path)).status == 401
        assert (await ask("GET", "/api/agents/nobody/usage", "see")).status == 404
        for query in ("?agent=x", "?issuer=a&issuer=b", "?issuer=a&x=1"):
            assert (await ask("GET", path + query, "see")).status == 400

    serving(work)
