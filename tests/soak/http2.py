"""A client of HTTP/2 that asks for many things at once, from an address of its own."""

import asyncio
from typing import Self

import h2.config
import h2.connection
import h2.errors
import h2.events
from tests.soak.client import Answer, HungUpError, Way

_PATIENCE_S = 20.0


class Http2Client:
    """One connection to the gate; use as a context manager. Bodies are of one frame at most."""

    def __init__(self, way: Way, address: str) -> None:
        self._way = way
        self._address = address
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="latin-1")
        )
        self._answers: dict[int, Answer] = {}
        self._ended: set[int] = set()
        self._reset: set[int] = set()
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await self._way.connect(self._address, http2=True)
        self._h2.initiate_connection()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    def request(
        self, method: str, target: str, passport: str | None, body: bytes | None = None
    ) -> int:
        """Asks; the number of its stream."""
        number = self._h2.get_next_available_stream_id()
        fields = [
            (":method", method),
            (":scheme", self._way.scheme),
            (":authority", "api.example"),
            (":path", target),
        ]
        if passport is not None:
            fields.append(("authorization", f"Passport {passport}"))
        self._h2.send_headers(number, fields, end_stream=body is None)
        if body is not None:
            self._h2.send_data(number, body, end_stream=True)
        self._flush()
        return number

    def take_back(self, number: int) -> None:
        """Resets a stream."""
        self._h2.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
        self._flush()

    async def head(self, number: int) -> Answer:
        """The answer on a stream, of which the body is still to come."""
        return await self._until(number, ended=False)

    async def answer(self, number: int) -> Answer:
        """The whole answer on a stream; `HungUpError` where it is reset or the gate closes."""
        return await self._until(number, ended=True)

    async def _until(self, number: int, *, ended: bool) -> Answer:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while number not in (self._ended if ended else self._answers):
                    if number in self._reset:
                        raise HungUpError("the stream was reset")
                    data = await self.reader.read(65_536)
                    if not data:
                        raise HungUpError("the gate closed")
                    for event in self._h2.receive_data(data):
                        self._note(event)
                    self._flush()
        except OSError as error:
            raise HungUpError(type(error).__name__) from None
        return self._answers[number]

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            headers = dict(event.headers)
            self._answers[event.stream_id] = Answer(int(headers.pop(":status")), headers, b"")
        elif isinstance(event, h2.events.DataReceived):
            self._answers[event.stream_id].body += event.data
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self._ended.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self._reset.add(event.stream_id)

    def _flush(self) -> None:
        self.writer.write(self._h2.data_to_send())
