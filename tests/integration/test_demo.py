"""The first thing that a newcomer runs."""

import json
import subprocess
import sys

WANTED = {
    "passport_missing",
    "signature_invalid",
    "passport_expired",
    "passport_revoked",
    "issuer_unknown",
    "permission_denied",
    "action_unknown",
    "rate_limited",
    "budget_exhausted",
    "approval_required",
    "proof_missing",
    "killed",
}


def _demo(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "passgate", "demo", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_scene_ends_as_it_must_and_the_log_verifies() -> None:
    """Twenty-five rows, each kind of refusal among them, and exit 0."""
    ended = _demo("--json")

    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert len(shown["scenes"]) == 25
    assert all(row["right"] for row in shown["scenes"])
    assert {row["reason"] for row in shown["scenes"]} >= WANTED
    assert shown["log"]["wrong"] == ""
    assert shown["log"]["uncovered"] == 0


def test_the_table_fits_an_eighty_column_terminal() -> None:
    """And it ends with the word on the log."""
    ended = _demo()

    lines = ended.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("log: ")
    assert lines[-1].endswith("verified")
