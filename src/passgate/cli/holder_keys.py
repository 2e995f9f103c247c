"""Holder keys as options name them: a file, or `new:` and a file to make."""

from pathlib import Path

from passgate.client.holder import Holder
from passgate.errors import KeyFileError


def holder_at(option: str) -> Holder:
    """The holder of `FILE`, or a fresh one for `new:FILE`. Raises `KeyFileError`."""
    kept, new, path = option.rpartition("new:")
    if new and not kept:
        try:
            return Holder.create(Path(path))
        except OSError as error:
            raise KeyFileError(f"{path} cannot be written: {error.strerror}") from None
    return Holder.load(Path(option))
