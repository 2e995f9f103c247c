"""What checks of more than one key work on: the tree that was read, and where to note a problem."""

from collections.abc import Set as AbstractSet
from typing import Any

from passgate.config.kinds import BAD, At
from passgate.config.reading import Tree


class Findings:
    """What the checks work on: the tree, the place of each path, and where to note a problem."""

    def __init__(self, tree: Tree, at: At, offered: AbstractSet[str] | None) -> None:
        self.tree = tree
        self.at = at
        self.offered = offered

    def get(self, *path: str) -> Any:
        """The value at a path, BAD where it or a section on the way was refused."""
        value: Any = self.tree
        for name in path:
            if not isinstance(value, dict):
                return BAD
            value = value.get(name, BAD)
        return value

    def line(self, path: str) -> int:
        """The line of a path, or of the nearest section around it that stands in the file."""
        while path and path not in self.at.lines:
            path = path.rpartition(".")[0]
        return self.at.lines.get(path, 1)

    def problem(self, path: str, sentence: str) -> None:
        self.at.problems.add(self.line(path), f"{path} {sentence}")

    def warn(self, path: str, sentence: str) -> None:
        self.at.problems.warn(self.line(path), f"{path} {sentence}")

    def entries(self, *path: str) -> list[tuple[int, Tree]]:
        """The entries of a list of sections that could be read, with their place."""
        listed = self.get(*path)
        if not isinstance(listed, list):
            return []
        return [(index, entry) for index, entry in enumerate(listed) if entry is not BAD]
