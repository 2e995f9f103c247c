"""`passgate audit`: verifies a log, and shows what is in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passgate.cli.exits import REFUSED, WRONG_USE, fail, note

if TYPE_CHECKING:
    from passgate.log.checkpoint import NoteKey

audit_app = typer.Typer(
    help="Verifies the signed log of a gate, and shows what is in it.",
    epilog="Example: passgate audit verify passgate-data/log",
    no_args_is_help=True,
)

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="The log directory, such as passgate-data/log.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@audit_app.command()
def verify(
    directory: Directory,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The gate's public key (a copy of gate.pub)."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="A checkpoint that was kept elsewhere: a file, or `-` for standard input.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recomputes a log and names the first line that is wrong.

    Without --key the log's own gate.pub is believed: that proves that the log is consistent, not
    whose it is. Without --since nothing proves that its end has not been cut off. Exits 1 if
    anything is wrong.

    \b
    Example:
      passgate audit verify passgate-data/log
      passgate audit verify passgate-data/log --key gate.pub --since then.txt
    """
    from passgate.errors import DataError
    from passgate.log.verify import verify_log

    _must_be_directory(directory)
    believed = None if key is None else _read_key(key)
    checkpoint = None
    if since is not None:
        where = "--since" if "\n" in since or since == "-" else since
        checkpoint = (where, _read_checkpoint(since))
    try:
        found = verify_log(directory, believed, checkpoint)
    except DataError as error:
        fail(error)
    if as_json:
        import dataclasses
        import json

        typer.echo(json.dumps({"ok": not found.wrong, **dataclasses.asdict(found)}))
    if found.wrong:
        fail(found.wrong)
    if as_json:
        return
    whose = "self-asserted key" if found.self_asserted else "key given"
    kept = f"lines {found.first} to {found.size - 1}" if found.size > found.first else "no lines"
    typer.echo(f"{kept}, {found.checkpoints} checkpoints, {found.key} ({whose})")
    if found.uncovered:
        typer.echo(f"{found.uncovered} lines after the last checkpoint are not signed yet")
    if found.since is None:
        typer.echo(f"consistent up to size {found.size}")
    else:
        typer.echo(
            f"consistent up to size {found.size}, and nothing was cut since size {found.since}"
        )


@audit_app.command()
def tail(
    directory: Directory,
    lines: Annotated[
        int, typer.Option("-n", "--lines", metavar="N", min=0, help="How many lines.")
    ] = 10,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on with new lines as they come.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Prints the last lines of a log.

    They are shown as they stand, not verified.

    \b
    Example:
      passgate audit tail passgate-data/log -n 20 --follow
    """
    from itertools import islice

    from passgate.errors import DataError
    from passgate.log.reading import follow_lines, newest_lines

    _must_be_directory(directory)
    try:
        newest = list(islice(newest_lines(directory), max(lines, 1)))
        newest.reverse()
        _print(iter(newest[-lines:] if lines else []), as_json=as_json)
        if follow:
            after = int(newest[-1]["seq"]) + 1 if newest else 0
            _print(follow_lines(directory, after), as_json=as_json)
    except DataError as error:
        fail(error)
    except KeyboardInterrupt:
        raise typer.Exit from None


@audit_app.command()
def show(
    directory: Directory,
    decision_id: Annotated[
        str | None, typer.Argument(metavar="DECISION_ID", help="One decision, and its outcome.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="CODE", help="Only this reason code.")
    ] = None,
    agent: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this agent's requests.")
    ] = None,
    decision: Annotated[
        str | None,
        typer.Option(metavar="DECISION", help="Only allow, block or request_hold."),
    ] = None,
    action: Annotated[str | None, typer.Option(metavar="ACTION", help="Only this action.")] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only lines of this kind, such as gap.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prints the lines that match, oldest first.

    They are shown as they stand, not verified. Exits 1 if there is none.

    \b
    Example:
      passgate audit show passgate-data/log att_01JZQ5W8K4M6N7P8Q9R0S1T2V3
      passgate audit show passgate-data/log --reason rate_limited --agent agent_7
    """
    from passgate.errors import DataError
    from passgate.log.reading import read_lines

    _must_be_directory(directory)
    given = {
        "decision_id": decision_id,
        "reason_code": reason,
        "agent_id": agent,
        "decision": decision,
        "action": action,
        "kind": kind,
    }
    wanted = [(name, value) for name, value in given.items() if value is not None]
    found = (
        line
        for line in read_lines(directory)
        if all(line.get(name) == value for name, value in wanted)
    )
    try:
        printed = _print(found, as_json=as_json)
    except DataError as error:
        fail(error)
    if not printed:
        fail("no line of the log matches", REFUSED)


@audit_app.command()
def attest(
    directory: Directory,
    decision_id: Annotated[
        str, typer.Argument(metavar="DECISION_ID", help="The decision, as its answer named it.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write it there, not to the output."),
    ] = None,
) -> None:
    """Writes a proof of what the log says of one request.

    It holds every line of the decision, and what leads from each to a signed checkpoint. Whoever
    has the gate's public key can check it, without the log and without the gate.

    \b
    Example:
      passgate audit attest passgate-data/log att_01JZQ5W8K4M6N7P8Q9R0S1T2V3 \\
        --out proof.json
    """
    from passgate.errors import DataError
    from passgate.files import write_whole
    from passgate.log.proof import make_proof
    from passgate.log.segments import GATE_PUB

    _must_be_directory(directory)
    try:
        proof = make_proof(directory, decision_id, _read_key(directory / GATE_PUB))
        if out is not None:
            write_whole(out, [proof], 0o644)
    except DataError as error:
        fail(error)
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}")
    if out is None:
        typer.echo(proof.decode(), nl=False)


@audit_app.command("verify-proof")
def verify_proof(
    proof: Annotated[Path, typer.Argument(metavar="FILE", help="What 'audit attest' wrote.")],
    key: Annotated[
        Path, typer.Option(metavar="FILE", help="The gate's public key (a copy of gate.pub).")
    ],
    as_json: AsJson = False,
) -> None:
    """Checks a proof with the gate's public key, and prints it.

    Needs no log and no network. Exits 1 where anything is not as the gate signed it.

    \b
    Example:
      passgate audit verify-proof proof.json --key gate.pub
    """
    from passgate.log.proof import MAX_PROOF_BYTES, check_proof

    believed = _read_key(key)
    try:
        with proof.open("rb") as file:
            lines = check_proof(file.read(MAX_PROOF_BYTES + 1), believed)
    except OSError as error:
        fail(f"{proof} cannot be read: {error.strerror}", WRONG_USE)
    except ValueError as error:
        fail(f"{proof}: {error}")
    _print(iter(lines), as_json=as_json)
    if not as_json:
        word = "line" if len(lines) == 1 else "lines"
        typer.echo(f"{len(lines)} {word} of the log of {believed.name}, as it was signed")


def _print(lines: Iterator[dict[str, Any]], *, as_json: bool) -> int:
    """Print lines as they come; how many there were."""
    import json

    count = 0
    for line in lines:
        count += 1
        # ASCII escapes, so that nothing an agent sent can move the cursor of a terminal.
        typer.echo(json.dumps(line) if as_json else _sentence(line))
    return count


def _sentence(line: dict[str, Any]) -> str:
    """One line for a person: when, what, who, where; then whatever belongs to its kind."""
    kind = str(line.get("kind", ""))
    if kind == "decision":
        words = [
            line.get("decision"),
            line.get("reason_code", "-"),
            line.get("agent_id", line.get("access_mode")),
            line.get("action", "-"),
            line.get("method"),
            line.get("target"),
            line.get("constraint", ""),
        ]
    elif kind == "outcome":
        said_why = (line.get("status"), line.get("reason_code", ""))
        words = ["outcome", line.get("outcome"), *said_why, f"{line.get('ms')}ms"]
    else:
        said = {"gate_id", "kind", "seq", "time", "v", "claims"}
        rest = [f"{name}={value}" for name, value in line.items() if name not in said]
        words = [kind, *rest]
    text = " ".join(str(word) for word in words if word not in ("", None))
    shown = f"{line.get('seq')} {line.get('time')} {text} {line.get('decision_id', '')}".rstrip()
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)


def _read_checkpoint(since: str) -> str:
    """The checkpoint's text: given itself, or in a file, which may be a copy of `checkpoints`."""
    import sys

    from passgate.log.history import split_history

    if "\n" in since:
        return since
    try:
        data = sys.stdin.buffer.read(1 << 20) if since == "-" else Path(since).read_bytes()
        text = data.decode()
        if text.endswith("\n\n"):
            text = split_history(data)[0][-1]
    except (OSError, ValueError, IndexError) as error:
        fail(f"{since}: {_why(error)}; give a file with a checkpoint", WRONG_USE)
    return text


def _read_key(file: Path) -> "NoteKey":
    from passgate.log.checkpoint import parse_key

    try:
        return parse_key(file.read_text("utf-8").strip())
    except (OSError, ValueError) as error:
        fail(f"{file}: {_why(error)}; give the gate's gate.pub", WRONG_USE)


def _must_be_directory(directory: Path) -> None:
    if not directory.is_dir():
        fail(
            f"{directory} is no directory; give the log directory, as passgate-data/log", WRONG_USE
        )
    if not any(directory.glob("*.jsonl")) and (directory / "log").is_dir():
        note(f"{directory} looks like a data directory; its log is in {directory / 'log'}")


def _why(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
