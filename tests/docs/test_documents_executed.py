"""What the documents tell a reader to type is typed, and what they say comes of it is what comes.

A fenced `bash` or `console` block under `<!-- executed: NAME -->` belongs to the script NAME of its
page; `<!-- executed: NAME, after OTHER -->` runs OTHER first. In `bash` blocks a comment at the end
of a command says what comes of it: `# 401 passport_missing` the status and words of an answer,
`# exit 1` the exit code, anything else a text in the output, each up to the first comma. In
`console` blocks the lines under a command are in its output, in order; `...` stands for anything.
Whatever promises nothing must exit 0.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.docs.test_log_line_page import undocumented

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Stand in for what a fresh machine may lack.
SHIMS = {name: Path(__file__).with_name(f"{name}_shim.py") for name in ("curl", "openssl")}
TIMEOUT_S = 120

_BLOCK = re.compile(
    r"^<!-- executed: (?P<name>[\w-]+)(?:, after (?P<after>[\w-]+))? -->\n"
    r"```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
_PROMISE = re.compile(r"\s{2,}# (.+)$")


@dataclass(frozen=True)
class Step:
    """One command as it stands on a page, and what the page says comes of it."""

    command: str
    promise: str = ""
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Script:
    """The steps of one name on one page, to be run in one shell."""

    page: Path
    name: str
    after: str
    steps: tuple[Step, ...]


def _steps(kind: str, text: str) -> Iterator[Step]:
    lines = iter(text.splitlines())
    command, shown = "", []
    for line in lines:
        if kind == "console" and not line.startswith("$ "):
            shown.append(line)
            continue
        if kind == "console":
            if command:
                yield _step(command, shown)
            shown = []
            line = line.removeprefix("$ ")
        elif not line or line.startswith("#"):
            continue
        command = line
        while command.endswith("\\"):
            command += "\n" + next(lines)
        heredoc = re.search(r"<<-?\s*'?(\w+)'?", line)
        while heredoc and not command.endswith("\n" + heredoc[1]):
            command += "\n" + next(lines)
        if kind == "bash":
            yield _step(command, [])
    if kind == "console":
        yield _step(command, shown)


def _step(command: str, shown: list[str]) -> Step:
    promise = _PROMISE.search(command) if "<<" not in command else None
    if promise is None:
        return Step(command, "", tuple(shown))
    return Step(command[: promise.start()], promise[1], tuple(shown))


def _scripts() -> dict[str, Script]:
    found: dict[str, Script] = {}
    for page in PAGES:
        for block in _BLOCK.finditer(page.read_text()):
            name, kind = block["name"], block["kind"]
            assert kind in ("bash", "console"), f"{page}: {name} is {kind}"
            known = found.get(name)
            assert known is None or known.page == page, f"{name} is on two pages"
            before = known.steps if known else ()
            after = block["after"] or (known.after if known else "")
            found[name] = Script(page, name, after, (*before, *_steps(kind, block["text"])))
    return found


SCRIPTS = _scripts()


@dataclass(frozen=True)
class Came:
    """What came of a step."""

    step: Step
    output: str
    code: int


class Reader:
    """Somebody at a shell, in an empty directory, with ports of their own."""

    def __init__(self, directory: Path, shims: tuple[str, ...] = ()) -> None:
        self.directory = directory / "here"
        self._notes = directory / "notes"
        for each in (self.directory, self._notes):
            each.mkdir()
        self._ports: dict[str, str] = {}
        with contextlib.ExitStack() as sockets:
            for number in ("8000", "8080", "8300", "9901"):
                each_socket = sockets.enter_context(socket.socket())
                each_socket.bind(("127.0.0.1", 0))
                self._ports[number] = str(each_socket.getsockname()[1])
        commands = directory / "bin"
        commands.mkdir()
        for name, program in SHIMS.items():
            if name in shims or shutil.which(name) is None:
                shim = commands / name
                shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
                shim.chmod(0o755)
        self._path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(self, steps: tuple[Step, ...]) -> list[Came]:
        """Types everything, one after another, and ends whatever still runs afterwards."""
        typed = "".join(
            f"{{\n{self._own(step.command)}\n}} > {self._notes}/{number} 2>&1 < /dev/null\n"
            f"echo $? > {self._notes}/{number}.code\n"
            for number, step in enumerate(steps)
        )
        # A progress meter would run into the answer's first line.
        (self._notes / ".curlrc").write_text("silent\nshow-error\n")
        script = self._notes / "script"
        script.write_text("trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT\n" + typed)
        with self._upstream(typed):
            shell = subprocess.Popen(
                ["bash", script],
                cwd=self.directory,
                env={
                    "PATH": self._path,
                    "HOME": str(self.directory),
                    "CURL_HOME": str(self._notes),
                    "LANG": "C.UTF-8",
                    "COLUMNS": "80",
                    # The commands of this tree, where another one is installed.
                    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                },
                start_new_session=True,
            )
            try:
                shell.wait(TIMEOUT_S)
            finally:
                for number in (signal.SIGTERM, signal.SIGKILL):
                    try:
                        os.killpg(shell.pid, number)
                    except ProcessLookupError:
                        break
                shell.wait(10)
        return [
            Came(
                step,
                (self._notes / str(number)).read_text(),
                int((self._notes / f"{number}.code").read_text()),
            )
            for number, step in enumerate(steps)
        ]

    def _own(self, command: str) -> str:
        """The command with this reader's ports; a gate.yaml says the ones that it leaves out."""
        own = re.sub(r"\b(8000|8080|8300|9901)\b", lambda match: self._ports[match[1]], command)
        if own.startswith("cat > gate.yaml <<"):
            for section, port in (("listen", "8080"), ("admin", "9901")):
                if not re.search(rf"^{section}:", own, re.M):
                    line = f'{section}: {{address: "127.0.0.1:{self._ports[port]}"}}'
                    head, _, rest = own.partition("\n")
                    own = f"{head}\n{line}\n{rest}"
                # Nothing of a page may meet what else listens on this machine.
                assert self._ports[port] in own, f"{section}.address is to be written out"
        return own

    def _upstream(self, typed: str) -> "_Upstream":
        """The API that a page takes for granted, unless its commands start one themselves."""
        return _Upstream(None if ".py" in typed or "http.server" in typed else self._ports["8000"])


class _Upstream:
    """An API that answers every GET; nothing where port is None."""

    def __init__(self, port: str | None) -> None:
        self._port = port
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> None:
        if self._port is None:
            return
        self._server = ThreadingHTTPServer(("127.0.0.1", int(self._port)), _Quiet)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Quiet(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing."""


def _steps_of(script: Script) -> tuple[Step, ...]:
    before = _steps_of(SCRIPTS[script.after]) if script.after else ()
    return (*before, *script.steps)


def _judge_all(everything: list[Came]) -> None:
    for came in everything:
        try:
            _judge(came)
        except AssertionError as error:
            # What the gate in the background said belongs to the picture.
            for other in everything:
                error.add_note(f"$ {other.step.command}\n{other.output}")
            raise


def _judge_log(directory: Path) -> None:
    """Holds every line that the gate of a page wrote to the page of log lines."""
    for segment in directory.glob("*.jsonl"):
        for line in segment.read_text().splitlines():
            assert undocumented(json.loads(line)) == [], line


def _judge(came: Came) -> None:
    """Holds one step to what its page says."""
    step = came.step
    context = f"\n$ {step.command}\n{came.output}\nexit {came.code}"
    promise = step.promise.partition(",")[0]
    code = re.fullmatch(r"exit (\d)(?:: .*)?", promise)
    assert came.code == (int(code[1]) if code else 0), f"exit code{context}"
    status = re.match(r"(\d{3})\b", promise)
    if status and "curl" in step.command:
        # -i shows the head of each answer, of which the last one counts; -w prints the status.
        heads = re.findall(r"^HTTP/(?:1\.1|2) (\d{3})", came.output, re.M)
        said = heads[-1:] or re.findall(r"^(\d{3})$", came.output, re.M)[-1:]
        assert said == [status[1]], f"{promise}{context}"
        for word in re.findall(r"[a-z]+_[a-z_]+", promise):
            assert word in came.output, f"{word}{context}"
    elif promise and not code:
        assert promise in came.output, f"{promise}{context}"
    rest = came.output.splitlines()
    for line in step.shown:
        pattern = re.compile(".*".join(re.escape(part) for part in line.split("...")))
        while rest and not pattern.fullmatch(rest[0].rstrip()):
            rest.pop(0)
        assert rest, f"{line!r} is not in the output{context}"
        if line != "...":
            rest.pop(0)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_page_says_is_executed(name: str, tmp_path: Path) -> None:
    """Each script of the documents does what its page says, in an empty directory."""
    reader = Reader(tmp_path)
    _judge_all(reader.run(_steps_of(SCRIPTS[name])))
    _judge_log(reader.directory / "passgate-data" / "log")


@pytest.mark.parametrize("name", ["quickstart", "tls"])
def test_pages_are_executed_without_curl_and_openssl(name: str, tmp_path: Path) -> None:
    """The stand-ins, used where a machine has neither, tell the same."""
    _judge_all(Reader(tmp_path, tuple(SHIMS)).run(_steps_of(SCRIPTS[name])))


def test_the_quickstart_has_six_commands() -> None:
    """Before an API of one's own in at most six commands."""
    assert len(SCRIPTS["quickstart"].steps) <= 6


def test_no_block_is_forgotten() -> None:
    """Every mark is over a block that is executed, and the pages for newcomers have one."""
    marks = sum(len(re.findall("^<!-- executed:", page.read_text(), re.M)) for page in PAGES)
    blocks = sum(len(_BLOCK.findall(page.read_text())) for page in PAGES)

    assert marks == blocks
    assert {ROOT / "README.md", ROOT / "docs" / "tutorial.md"} <= {s.page for s in SCRIPTS.values()}


@pytest.mark.parametrize(
    ("step", "output", "code"),
    [
        (Step("true"), "", 1),
        (Step("curl -i x", "200"), "HTTP/1.1 401 Unauthorized\n", 0),
        (Step("curl -i x", "401 passport_missing"), "HTTP/1.1 401 Unauthorized\n", 0),
        (Step("curl -i x", "200"), "HTTP/1.1 200 OK\nHTTP/1.1 503 No\n", 0),
        (Step("x", "exit 1"), "", 0),
        (Step("x", "two words, and more"), "two\nwords\n", 0),
        (Step("x", "", ("a", "b")), "b\na\n", 0),
        (Step("x", "", ("a...c",)), "abd\n", 0),
    ],
)
def test_a_broken_promise_is_noticed(step: Step, output: str, code: int) -> None:
    """What did not come as the page says fails."""
    with pytest.raises(AssertionError):
        _judge(Came(step, output, code))
