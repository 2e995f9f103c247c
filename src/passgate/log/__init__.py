"""Proves what the gate decided: an append-only, signed, verifiable log under `data_dir/log/`.

`open_log` recovers what is there and returns a `Log`; `read_lines` reads it back; `verify` needs
nothing but the directory and a public key.
"""

from passgate.log.keys import GateKey, Signer, open_gate_key
from passgate.log.segments import read_lines
from passgate.log.settings import LogSettings
from passgate.log.writer import Log, LogStatus, open_log

__all__ = [
    "GateKey",
    "Log",
    "LogSettings",
    "LogStatus",
    "Signer",
    "open_gate_key",
    "open_log",
    "read_lines",
]
