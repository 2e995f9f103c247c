"""The commands' way to the admin API: the token goes to the gate that was meant, or nowhere."""

import json
import socket
import threading
from pathlib import Path

import pytest
import typer

from passgate.cli.admin_api import AdminApi, admin_api
from passgate.testing import FakeUpstream, Reply, TestIssuer

TOKENS = {
    "eve": {"secret": "env:EVE", "role": "viewer"},
    "ann": {"secret": "env:ANN", "role": "approver"},
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVE", "ANN", "ADMIN"):
        monkeypatch.setenv(name, f"the-secret-of-{name}")


def configured(directory: Path, address: str, **admin: object) -> Path:
    """A gate.yaml with this admin section."""
    issuer = TestIssuer()
    (directory / "list.jwt").write_text(issuer.revocation_list())
    file = directory / "gate.yaml"
    file.write_text(
        json.dumps(
            {
                "admin": {"address": address, **admin},
                "upstream": {"url": "http://127.0.0.1:1"},
                "issuers": [{"id": issuer.id, "keys": issuer.jwks, "revocations": "file:list.jwt"}],
            }
        )
    )
    return file


def ended(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """How `admin_api` ends a command, and what it says."""
    with pytest.raises(typer.Exit) as caught:
        admin_api(*arguments)  # type: ignore[arg-type]  # as the command line gives them
    return caught.value.exit_code, capsys.readouterr().err


def test_what_is_asked_carries_the_token_and_json() -> None:
    """A bearer token, a JSON body where there is one, and the answer as the gate said it."""
    with FakeUpstream(Reply(body=b'{"id": "appr_1"}')) as gate:
        api = admin_api(f"http://127.0.0.1:{gate.port}", "env:ANN", None)
        assert api.ask("POST", "/api/holds/appr_1/approve", {"reason": "fine"}) == {"id": "appr_1"}

    (seen,) = gate.seen
    assert (seen.method, seen.target) == ("POST", "/api/holds/appr_1/approve")
    assert seen.header("Authorization") == "Bearer the-secret-of-ANN"
    assert json.loads(seen.body) == {"reason": "fine"}
    assert "the-secret" not in repr(api)


def test_the_configuration_says_where_and_who(tmp_path: Path) -> None:
    """Address and the strongest token are the configuration's; either option takes its place."""
    file = configured(tmp_path, "0.0.0.0:9123", tokens=TOKENS)

    assert admin_api(None, None, file) == AdminApi(
        "0.0.0.0:9123", "127.0.0.1", 9123, False, None, "the-secret-of-ANN"
    )
    assert admin_api(None, "env:EVE", file).token == "the-secret-of-EVE"
    elsewhere = admin_api("https://gate.example", None, file)
    assert (elsewhere.host, elsewhere.port, elsewhere.secure) == ("gate.example", 443, True)
    assert elsewhere.token == "the-secret-of-ANN"
    file = configured(tmp_path, "0.0.0.0:9123", tokens=TOKENS, token="env:ADMIN")
    assert admin_api(None, None, file).token == "the-secret-of-ADMIN"


def test_a_unix_socket_is_an_address(tmp_path: Path) -> None:
    """The listener may be a file; what is asked and answered is the same."""
    path = tmp_path / "admin.sock"
    file = configured(tmp_path, f"unix:{path}", token="env:ADMIN")
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(5)

        def serve() -> None:
            with listening.accept()[0] as client:
                heard.append(client.recv(65536))
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

        serving = threading.Thread(target=serve)
        serving.start()
        assert admin_api(None, None, file).ask("GET", "/api/holds") == []
        serving.join(5)

    assert heard[0].startswith(b"GET /api/holds HTTP/1.1\r\n")
    assert b"Bearer the-secret-of-ADMIN" in heard[0]


@pytest.mark.parametrize(
    ("admin", "token", "words"),
    [
        ("http://gate.example:9901", "env:ANN", "only for this machine"),
        ("http://[2001:db8::1]:9901", "env:ANN", "only for this machine"),
        ("ftp://127.0.0.1", "env:ANN", "must be a URL"),
        ("http://user@127.0.0.1", "env:ANN", "user or password"),
        ("http://127.0.0.1:9901/api", "env:ANN", "takes no path"),
        ("http://127.0.0.1:9901", "env:NOBODY", "no NOBODY"),
        ("http://127.0.0.1:9901", "the-secret-itself", "env:NAME or file:PATH"),
    ],
)
def test_a_token_that_would_be_lost_is_not_sent(
    admin: str, token: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 and a sentence, before anything is connected to; the token is in no sentence."""
    code, said = ended(capsys, admin, token, None)

    assert code == 2
    assert words in said
    assert "the-secret" not in said


def test_what_is_not_said_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No configuration, a wrong one, one without a token or with any port: exit 2."""
    monkeypatch.chdir(tmp_path)
    assert ended(capsys, None, None, None)[0] == 2
    assert ended(capsys, "http://127.0.0.1:1", None, None)[0] == 2
    (tmp_path / "bad.yaml").write_text("upstreams: 1")
    assert ended(capsys, None, None, tmp_path / "bad.yaml")[0] == 2
    file = configured(tmp_path, "127.0.0.1:9901")
    assert "admin.token" in ended(capsys, None, None, file)[1]
    assert "--token" in ended(capsys, "http://127.0.0.1:1", None, file)[1]
    file = configured(tmp_path, "127.0.0.1:0", token="env:ADMIN")
    assert "--admin URL" in ended(capsys, None, None, file)[1]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(403, body=b'{"detail": "This needs the role approver."}'), "403: This needs the"),
        (Reply(302, (("Location", "/elsewhere"),), b""), "answered 302"),
        (Reply(500, body=b"oh"), "answered 500"),
        (Reply(200, body=b"<html>"), "no admin listener"),
    ],
)
def test_what_the_gate_refuses_ends_the_command(
    reply: Reply, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1 with the gate's own sentence; a redirect is not followed."""
    with FakeUpstream(reply) as gate:
        api = admin_api(f"http://127.0.0.1:{gate.port}", "env:ANN", None)
        with pytest.raises(typer.Exit) as caught:
            api.ask("GET", "/api/holds")
        assert len(gate.seen) == 1

    assert caught.value.exit_code == 1
    assert words in capsys.readouterr().err


def test_nobody_listening_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, and what to look at."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        api = admin_api(f"http://127.0.0.1:{unused.getsockname()[1]}", "env:ANN", None)
        with pytest.raises(typer.Exit) as caught:
            api.ask("GET", "/api/holds")

    assert caught.value.exit_code == 1
    assert "is the gate running there?" in capsys.readouterr().err


def test_the_secrets_of_others_are_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever orders has one token; the strongest that can be read is taken, or that of --token."""
    file = configured(tmp_path, "127.0.0.1:9123", tokens=TOKENS, token="env:NOBODY")
    assert admin_api(None, None, file).token == "the-secret-of-ANN"
    monkeypatch.delenv("ANN")
    assert admin_api(None, None, file).token == "the-secret-of-EVE"
    assert admin_api(None, "env:ADMIN", file).token == "the-secret-of-ADMIN"
    monkeypatch.delenv("EVE")
    assert admin_api(None, "env:ADMIN", file).token == "the-secret-of-ADMIN"
    assert "the environment has no NOBODY" in ended(capsys, None, None, file)[1]


def test_a_socket_may_be_named(tmp_path: Path) -> None:
    """By `--admin unix:PATH`."""
    api = admin_api(f"unix:{tmp_path}/a.sock", "env:ANN", None)
    assert api.socket_path == tmp_path / "a.sock"
