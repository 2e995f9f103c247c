"""What is sent to the operator's API: one small JSON object, read strictly."""

from typing import Any

from aiohttp import web

from passgate.core import strict_json


async def read_object(request: web.Request, members: frozenset[str]) -> dict[str, Any]:
    """The JSON object in the body, with none but `members`, each a text.

    Raises `ValueError` with a sentence for anything else: no body, a member twice, another one.
    """
    try:
        said = strict_json.loads(await request.read())
    except (ValueError, web.RequestPayloadError):
        raise ValueError("The body must be unambiguous JSON.") from None
    if type(said) is not dict or not said.keys() <= members:
        raise ValueError(f"The body must be an object of {', '.join(sorted(members))}.")
    for name, value in said.items():
        if type(value) is not str:
            raise ValueError(f"{name} must be a text.")
    return said
