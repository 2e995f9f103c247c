"""What an exchange knows of its client: the version of HTTP stays on the client's own side."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from passgate.proxy.response_head import ResponseHead
from passgate.proxy.steps import Answer, Forward

if TYPE_CHECKING:
    from passgate.proxy.upstream_http1 import UpstreamConnection


class ClientSide(Protocol):
    """The client of one exchange: it frames what the upstream answered, and bounds what it holds.

    An exchange tells either one whole answer, or a beginning, any number of pieces and an end; or
    it comes to nothing and says so by `respond` or `cut`. `answer_whole`, `answer_ends`, `respond`
    and `cut` are the last that it says: the client may begin another exchange within the call.
    One whose answers wait for its windows says itself when the end of one has left
    (`Exchange.delivered`); until then `cut` may still follow.
    `lines` are the gate's own header lines for the final answer, each ending in CRLF.
    """

    def interim(self, head: ResponseHead) -> None:
        """An interim answer (1xx, but no 101)."""

    def answer_whole(self, head: ResponseHead, lines: bytes, data: bytes) -> None:
        """The final answer with all of its body."""

    def answer_begins(self, head: ResponseHead, lines: bytes, data: bytes) -> None:
        """The final answer's head, with the first of its body; more follows."""

    def answer_goes_on(self, data: bytes) -> None:
        """More of the body."""

    def answer_ends(self, data: bytes, trailers: Sequence[tuple[bytes, bytes]]) -> None:
        """The last of the body, and the trailers."""

    def respond(self, answer: Answer) -> None:
        """Nothing of an answer has been told; the client gets `answer` instead."""

    def cut(self) -> None:
        """The answer ends in its middle, and the client must see that it does."""

    def unsent(self) -> int:
        """Bytes told that the client has not taken yet; shrinks while it reads, however slowly."""

    def body_wanted(self) -> None:
        """The upstream takes bytes of the request's body (again)."""

    def body_unwanted(self) -> None:
        """The upstream does not keep up with the request's body."""

    def switch(
        self,
        connection: "UpstreamConnection",
        head: ResponseHead,
        forward: Forward,
        ended: Callable[[int, str], None],
    ) -> bool:
        """A 101 came: from here on bytes go both ways; False where it is none that was asked for.

        `ended` hears once of the bytes sent to the client and the outcome.
        """
