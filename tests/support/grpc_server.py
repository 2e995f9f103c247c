"""A real gRPC server, and what it saw."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc

PATIENCE_S = 5.0


@dataclass
class Greeter(grpc.GenericRpcHandler):
    """`/test.Greeter/`: `Unary`, `Down` (server streams), `Up`, `Both`, `Fail`, `Wait`, `Early`.

    `cancelled` is set once a call to `Wait` was cancelled; `metadata` is that of every call.
    """

    port: int = 0
    cancelled: threading.Event = field(default_factory=threading.Event)
    metadata: list[dict[str, Any]] = field(default_factory=list)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method.removeprefix("/test.Greeter/")
        makers: dict[str, Callable[[], Any]] = {
            "Unary": lambda: grpc.unary_unary_rpc_method_handler(self._unary),
            "Fail": lambda: grpc.unary_unary_rpc_method_handler(self._fail),
            "Wait": lambda: grpc.unary_unary_rpc_method_handler(self._wait),
            "Down": lambda: grpc.unary_stream_rpc_method_handler(self._down),
            "Up": lambda: grpc.stream_unary_rpc_method_handler(self._up),
            "Both": lambda: grpc.stream_stream_rpc_method_handler(self._both),
            "Early": lambda: grpc.stream_unary_rpc_method_handler(self._early),
        }
        self.metadata.append(dict(handler_call_details.invocation_metadata))
        return makers[method]() if method in makers else None

    def _unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.send_initial_metadata([("x-first", "1")])
        context.set_trailing_metadata([("x-last", "2"), ("x-raw-bin", b"\0\xff")])
        return request[::-1]

    def _fail(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata([("x-last", "2")])
        context.abort(grpc.StatusCode.NOT_FOUND, "none such: ü")
        return b""

    def _wait(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        over = threading.Event()
        context.add_callback(over.set)
        if over.wait(PATIENCE_S):
            self.cancelled.set()
        return b""

    def _down(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        count, size = (int(part) for part in request.split(b"x"))
        for number in range(count):
            yield b"%d" % number + bytes(size)

    def _up(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        return b"%d" % sum(len(request) for request in requests)

    def _both(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        for request in requests:
            yield request[::-1]

    def _early(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        next(requests)
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")
        return b""


@contextlib.contextmanager
def grpc_server(credentials: grpc.ServerCredentials | None = None) -> Iterator[Greeter]:
    """A server on a free port of 127.0.0.1."""
    greeter = Greeter()
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((greeter,))
    if credentials is None:
        greeter.port = server.add_insecure_port("127.0.0.1:0")
    else:
        greeter.port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield greeter
    finally:
        server.stop(0).wait(PATIENCE_S)
