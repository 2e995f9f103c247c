"""PassportAuth in the shape that aiohttp asks for: a client middleware."""

from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse
from aiohttp.payload import BytesPayload

from passgate.client.auth import PassportAuth


def middleware_of(auth: PassportAuth) -> ClientMiddlewareType:
    """A middleware that adds the headers, and sends once more where the gate gave a nonce."""

    async def present(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        url = str(request.url)
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
