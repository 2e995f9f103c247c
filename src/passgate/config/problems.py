"""What is wrong with a configuration, collected until all of it is known."""

from typing import NamedTuple

from passgate.errors import ConfigError


class Problem(NamedTuple):
    """One thing that is wrong, where: `line` counts from 1, 0 stands for the file as a whole."""

    file: str
    line: int
    sentence: str

    def __str__(self) -> str:
        # What a file holds goes to terminals and logs: one line, and nothing that steers them.
        return "".join(
            character if character.isprintable() else ascii(character)[1:-1]
            for character in f"{self.file}:{self.line or 1}: {self.sentence}"
        )


class Problems:
    """Collects problems of one load, and warnings apart from them.

    `file` is the name that problems carry unless they say another.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []

    def add(self, line: int, sentence: str, file: str | None = None) -> None:
        """Note what makes this configuration unusable."""
        self._problems.append(Problem(file or self.file, line, sentence))

    def warn(self, line: int, sentence: str) -> None:
        """Note what is allowed and probably not meant."""
        self._warnings.append(Problem(self.file, line, sentence))

    def __len__(self) -> int:
        return len(self._problems)

    @property
    def warnings(self) -> list[str]:
        """Every warning, each once, sorted by line."""
        return self._sorted(self._warnings)

    def raise_if_any(self) -> None:
        """Raises `ConfigError` with every problem, each once, sorted by line, if there is one."""
        if self._problems:
            raise ConfigError(self._sorted(self._problems))

    def _sorted(self, found: list[Problem]) -> list[str]:
        # The main file comes first; a catalog's problems follow it.
        order = sorted(found, key=lambda problem: (problem.file != self.file, *problem))
        return list(dict.fromkeys(str(problem) for problem in order))
