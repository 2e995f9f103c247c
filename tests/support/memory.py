"""How much memory a process really has, as the kernel counts it."""

from pathlib import Path


def resident_kib(pid: int) -> int:
    """What is resident now."""
    return _status(pid, "VmRSS")


def peak_resident_kib(pid: int) -> int:
    """The most that was ever resident."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise LookupError(name)
