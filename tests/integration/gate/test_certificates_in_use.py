"""A gate as a process over TLS: its certificates change, and its clients' are on record."""

import contextlib
import datetime as dt
import http.client
import re
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.certificates import Authority
from tests.support.running_gate import ADMIN_TOKEN, RunningGate, eventually, running_gate

from passgate.log import read_lines
from passgate.testing import FakeUpstream, mint


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


@pytest.fixture
def gate(tmp_path: Path, authority: Authority, upstream: FakeUpstream) -> Iterator[RunningGate]:
    cert, key = authority.issue("gate", ("localhost",))
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text("permissions: [{key: 'api:search', description: Search.}]\n")
    config = {
        "listen": {"tls": {"cert": str(cert), "key": str(key), "client_ca": str(authority.cert)}},
        "catalog": {"file": str(catalog)},
        "actions": {"routes": [{"match": "GET /v1/search", "action": "api:search"}]},
    }
    with running_gate(tmp_path, upstream.url, config=config) as running:
        yield running


def trusting(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.cert)
    context.load_cert_chain(*authority.issue("client", uris=("spiffe://lab.example/agent",)))
    return context


@contextlib.contextmanager
def connection(gate: RunningGate, context: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
    found = http.client.HTTPSConnection("localhost", gate.port, timeout=10, context=context)
    try:
        found.connect()
        yield found
    finally:
        found.close()


def status(over: http.client.HTTPSConnection, passport: str) -> int:
    over.request("GET", "/v1/search", headers={"Authorization": f"Passport {passport}"})
    answer = over.getresponse()
    answer.read()
    return answer.status


def serial(gate: RunningGate, context: ssl.SSLContext) -> str:
    """The serial number of the certificate that a new handshake gets."""
    with connection(gate, context) as over:
        assert isinstance(over.sock, ssl.SSLSocket)
        found = over.sock.getpeercert()
        assert found is not None
        return str(found["serialNumber"])


def reloads(gate: RunningGate, result: str) -> int:
    text = gate.admin("GET", "/metrics").body.decode()
    found = re.search(rf'passgate_config_reloads_total{{result="{result}"}} (\d+)', text)
    assert found is not None
    return int(found[1])


def row(gate: RunningGate, name: str) -> dict[str, object]:
    rows = gate.admin("GET", "/readyz").json["dependencies"]
    (found,) = (row for row in rows if row["name"] == name)
    return dict(found)


def test_changed_files_are_in_force_without_a_restart(
    gate: RunningGate, authority: Authority
) -> None:
    """A renewed certificate, a changed catalog: noticed by themselves, broken ones kept out."""
    context = trusting(authority)
    passport = mint(issuer=gate.issuer, permissions=["api:*"])
    before = serial(gate, context)
    with connection(gate, context) as standing:
        assert status(standing, passport) == 200

        authority.issue("gate", ("localhost",))
        eventually(lambda: serial(gate, context) != before)
        renewed = serial(gate, context)
        assert status(standing, passport) == 200

        (gate.directory / "gate.pem").write_text("nonsense")
        eventually(lambda: reloads(gate, "refused"))
        assert "listen.tls.cert and key must be PEM files" in str(row(gate, "configuration"))
        refused = gate.admin("POST", "/api/reload", ADMIN_TOKEN)
        assert refused.status == 409
        assert "listen.tls.cert and key must be PEM files" in refused.json["problems"][0]
        assert serial(gate, context) == renewed
        authority.issue("gate", ("localhost",))
        eventually(lambda: serial(gate, context) not in (before, renewed))
        assert row(gate, "configuration")["warning"] == ""

        again = serial(gate, context)
        authority.issue("gate", ("localhost",))
        assert gate.process is not None
        gate.process.send_signal(signal.SIGHUP)
        eventually(lambda: serial(gate, context) != again)

        good = reloads(gate, "ok")
        (gate.directory / "catalog.yaml").write_text(
            "permissions: [{key: 'api:other', description: Other.}]\n"
        )
        eventually(lambda: reloads(gate, "ok") > good)
        assert status(standing, passport) == 403


def test_the_name_of_a_client_is_on_record_and_nowhere_else(
    gate: RunningGate, authority: Authority, upstream: FakeUpstream
) -> None:
    """It stands with the decision, refused ones too; the upstream hears neither it nor a claim."""
    passport = mint(issuer=gate.issuer, permissions=["api:*"])
    with connection(gate, trusting(authority)) as over:
        over.request(
            "GET",
            "/v1/search",
            headers={
                "Authorization": f"Passport {passport}",
                "X-Forwarded-Client-Cert": "URI=spiffe://lab.example/admin",
                "X-SSL-Client-S-DN": "CN=admin",
            },
        )
        assert over.getresponse().read() is not None
        assert status(over, "nonsense") == 401
        over.request("GET", "/%2e%2e/x")
        assert over.getresponse().status == 400
    (seen,) = upstream.seen
    assert "lab.example" not in repr(seen.headers)
    assert "CN=admin" not in repr(seen.headers)
    gate.stop()
    lines = [line for line in read_lines(gate.log_directory) if line["kind"] == "decision"]
    assert [line["facts"]["client_certificate"] for line in lines] == [
        "spiffe://lab.example/agent"
    ] * 3


def test_a_certificate_that_ends_is_told(gate: RunningGate, authority: Authority) -> None:
    """readyz warns in time and goes on being ready; a metric has the seconds."""
    assert row(gate, "certificate of listen")["warning"] == ""
    authority.issue("gate", ("localhost",), lifetime=dt.timedelta(minutes=10))
    assert gate.admin("POST", "/api/reload", ADMIN_TOKEN).status == 200

    found = row(gate, "certificate of listen")
    metrics = gate.admin("GET", "/metrics").body.decode()

    assert found["ok"] is True
    assert "expires at" in str(found["warning"])
    left = re.search(r'passgate_certificate_expiry_seconds{use="listen"} (\d+)', metrics)
    assert left is not None
    assert 500 < int(left[1]) <= 600
    assert gate.admin("GET", "/readyz").status == 200
    journal = gate.directory / "output.txt"
    eventually(lambda: '"what": "certificate of listen"' in journal.read_text())
