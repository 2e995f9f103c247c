"""From the start of the process to ready, with trust that was kept from before (P8)."""

import http.server
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.gate import GateFiles, gate_config
from tests.bench.modes.turns import spread
from tests.bench.peers import PROXY_CORE, end, spawned
from tests.bench.room import SERVE, Room, WrongAnswerError, ask

_STARTS_PER_ROUND = 4
_LONGEST_S = 30.0


def start(room: Room) -> dict[str, Any]:
    """Seconds to `readyz` 200 and to the first right answer, while the issuer is out of reach."""
    upstream = room.upstream()
    with _issuer_site(room.issued.directory) as url:
        files = gate_config(
            room.directory,
            upstream,
            room.issued,
            "strict",
            issuers=[
                {
                    "id": room.issued.issuer,
                    "keys": f"{url}/jwks.json",
                    "revocations": f"{url}/revocations.jwt",
                    "max_stale": "1d",
                }
            ],
        )
        _started(room, files)
    found = [_started(room, files) for _ in range(room.options.rounds * _STARTS_PER_ROUND)]
    return {
        "ready_s": spread(ready for ready, _ in found),
        "first_answer_s": spread(answered for _, answered in found),
        "starts": len(found),
    }


def _started(room: Room, files: GateFiles) -> tuple[float, float]:
    begin = time.monotonic()
    process = spawned([*SERVE, str(files.config)], PROXY_CORE, room.log)
    try:
        while not _ready(files.admin_port):
            if process.poll() is not None or time.monotonic() > begin + _LONGEST_S:
                raise RuntimeError(f"the gate did not become ready: {room.log.read_text()[-500:]}")
            time.sleep(0.002)
        ready = time.monotonic() - begin
        status, _ = ask(files.port, room.issued.one())
        answered = time.monotonic() - begin
        if status != 200:
            raise WrongAnswerError(f"{status} as the first answer")
    finally:
        end(process)
    return ready, answered


def _ready(admin_port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def _issuer_site(directory: Path) -> Iterator[str]:
    """The issuer's files over HTTP, for as long as the block lasts."""

    answer = partial(_Files, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
