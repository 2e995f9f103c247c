"""Exceptions that leave a module: the gate, its operator or its neighbours failed.

A refused request is none of these; it is a value, `passgate.core.reasons.Refusal`.
"""


class PassgateError(Exception):
    """Base of all; never raised itself. Its text is one line that says what to do."""


class ConfigError(PassgateError):
    """The configuration cannot be used; `problems` holds every one, as `file:line: sentence`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DataError(PassgateError):
    """A file in `data_dir` is not what the gate wrote; names the file, the line and the way out."""


class SourceError(PassgateError):
    """A source of trust could not be read, or what it said is not acceptable."""


class OrderError(PassgateError):
    """An operator's order was not carried out, or not wholly; says what is in force now."""


class KeyFileError(PassgateError):
    """A private key file is missing, unreadable, or open to others."""
