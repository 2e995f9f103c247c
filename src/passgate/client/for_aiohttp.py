"""PassportAuth in the shape that aiohttp asks for: a client middleware."""

from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse
from aiohttp.payload import BytesPayload

from passgate.client.auth import PassportAuth, origin_of


def middleware_of(auth: PassportAuth) -> ClientMiddlewareType:
    """A middleware that adds the headers, and sends once more where the gate gave a nonce.

    It keeps to the origin of its first request: it is asked at redirects too, and cannot tell.
    """
    home = ""

    async def present(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        nonlocal home
        url = str(request.url)
        home = home or origin_of(url)
        if origin_of(url) != home:
            return await handler(request)
        # What comes from a file or a generator is not read ahead.
        payload = request.body
        body = await payload.as_bytes() if isinstance(payload, BytesPayload) else None
        request.headers.update(auth.headers(request.method, url, body))
        response = await handler(request)
        if not auth.learn(url, response.status, response.headers):
            return response
        response.release()
        request.headers.update(auth.headers(request.method, url, body))
        response = await handler(request)
        auth.learn(url, response.status, response.headers)
        return response

    return present
