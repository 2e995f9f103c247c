"""What an operator may set about the log; the defaults are those of `gate.yaml`."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Durability, sizes in bytes, ages in seconds.

    `durability` is `strict` (a waiting decision is told once its line and a covering checkpoint are
    on disk) or `relaxed` (written within `delay_s`, synced within a second). A segment ends at
    about `rotate_bytes`. Segments whose last line is older than `keep_age_s`, and the oldest beyond
    `keep_bytes` in all, are removed; None keeps everything. `stdout` copies every line to standard
    output. `pending_bytes` is the most that waits in memory while the disk cannot be written.
    """

    durability: str = "strict"
    rotate_bytes: int = 256 * MIB
    keep_age_s: float | None = None
    keep_bytes: int | None = None
    stdout: bool = False
    delay_s: float = 0.010
    pending_bytes: int = 32 * MIB

    def __post_init__(self) -> None:
        if self.durability not in ("strict", "relaxed"):
            raise ValueError("durability must be strict or relaxed")
        if self.rotate_bytes < 4096:
            raise ValueError("rotate must be at least 4 KiB")
