"""A gate whose issuers cannot be reached lives by its last good copies, while they are fresh."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.running_gate import ADMIN_TOKEN, RunningGate, eventually, free_port

from passgate.testing import FakeUpstream, TestIssuer

LAB = TestIssuer("iss_lab")
MAX_STALE_S = 6


@contextmanager
def publishing(port: int) -> Iterator[None]:
    """The issuer's own server, for as long as it is up."""
    documents = {
        "/jwks.json": ("application/json", json.dumps(LAB.jwks)),
        "/revocations.jwt": ("application/jwt", LAB.revocation_list(now=time.time() - 10)),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, text = documents[self.path]
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_it_serves_reports_ages_refuses_and_recovers(
    tmp_path: Path, upstream: FakeUpstream
) -> None:
    """From a start without the issuer, through the end of what is known, to its return; nobody
    touches the gate meanwhile."""
    port = free_port()
    entry = {
        "id": LAB.id,
        "keys": f"http://127.0.0.1:{port}/jwks.json",
        "revocations": f"http://127.0.0.1:{port}/revocations.jwt",
        "refresh": "1s",
        "max_stale": f"{MAX_STALE_S}s",
    }
    gate = RunningGate(tmp_path, upstream.url, config={"issuers": [entry]}, issuer=LAB)
    passport = LAB.mint(now=time.time())

    def code() -> str:
        answer = gate.request("GET", "/v1/search", passport)
        return "" if answer.status == 200 else str(answer.json["code"])

    def sources() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = gate.admin("GET", "/api/trust", ADMIN_TOKEN).json["issuers"]
        return rows

    try:
        with publishing(port):
            gate.start()
            assert gate.stop() == 0
        gate.start()
        assert code() == ""
        eventually(lambda: all(row["error"] for row in sources()))
        for row in sources():
            assert row["loaded"]
            assert 0 <= row["age_s"] <= MAX_STALE_S
            assert "cannot be read" in row["error"]
        assert gate.admin("GET", "/readyz").status == 200
        young = [row["age_s"] for row in sources()]

        # By itself, once what is known is too old: not ready, and nobody passes.
        assert eventually(code) == "trust_stale"
        assert [row["age_s"] for row in sources()] > young
        refused = gate.request("GET", "/v1/search", passport)
        assert (refused.status, "retry-after" in refused.headers) == (503, True)
        assert gate.admin("GET", "/readyz").status == 503
        metrics = gate.admin("GET", "/metrics").body.decode()
        assert f'passgate_trust_age_seconds{{issuer="{LAB.id}",kind="keys"}}' in metrics
        failed = f'passgate_sync_failures_total{{issuer="{LAB.id}",kind="revocations"}} '
        assert float(metrics.partition(failed)[2].partition("\n")[0]) > 0

        # And by itself again, as soon as the issuer is back.
        with publishing(port):
            eventually(lambda: code() == "")
            eventually(lambda: gate.admin("GET", "/readyz").status == 200)
            assert not any(row["error"] for row in sources())
    finally:
        if gate.process is not None and gate.process.poll() is None:
            gate.stop()
