"""Proves what the gate decided: an append-only, signed, verifiable log under `data_dir/log/`.

`open_log` recovers what is there and returns a `Log`; `read_lines`, `newest_lines` and
`follow_lines` read it back; `verify_log` needs nothing but the directory and a public key.
"""

from passgate.log.checkpoint import NoteKey, Signer
from passgate.log.floods import FloodGate
from passgate.log.keys import GateKey, find_gate_key, open_gate_key
from passgate.log.opening import open_log
from passgate.log.reading import follow_lines, newest_lines, read_lines
from passgate.log.settings import LogSettings
from passgate.log.verify import Verification, verify_log
from passgate.log.writer import Log, LogStatus

__all__ = [
    "FloodGate",
    "GateKey",
    "Log",
    "LogSettings",
    "LogStatus",
    "NoteKey",
    "Signer",
    "Verification",
    "find_gate_key",
    "follow_lines",
    "newest_lines",
    "open_gate_key",
    "open_log",
    "read_lines",
    "verify_log",
]
