"""Lists of path globs, matched in one pass over the path: `*` inside a segment, `**` across.

Time is linear in the path whatever the globs are. A backtracking regular expression would let an
agent choose a path that takes seconds; here every glob of the list runs as one bit-parallel
automaton (Baeza-Yates and Gonnet, "A new approach to text searching", 1992).
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from passgate.core.constraints.patterns import folded_path
from passgate.core.constraints.values import texts

# RFC 3986 section 3.3; a star stands for itself in no glob, and matches itself in every one.
_GLOB = re.compile(r"(?:/|\*\*)(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_STARS = re.compile(r"(\*+)")
_ESCAPE = re.compile(r"%(..)")
_NO_SEGMENT = re.compile(r"/(?:\.{0,2}(?:;[^/]*)?/|\.{1,2}(?:;|\Z)|;)")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_NEVER_ESCAPED = frozenset((*map(chr, range(0x20)), "\x7f", "/", "\\"))


@dataclass(frozen=True, slots=True)
class _Automaton:
    """Globs side by side in one integer: a bit per literal character matched so far.

    `moves` has, for a character, the bits that it leads to from the bit before; `stays` the bits
    that hold on any character (`**` follows), `stays_inside` also those that hold on any but a
    slash (`*` follows).
    """

    begin: int
    end: int
    moves: dict[str, int]
    stays: int
    stays_inside: int

    def match(self, path: str) -> bool:
        state = self.begin
        stays = self.stays
        stays_inside = self.stays_inside
        moves = self.moves.get
        for character in path:
            state = ((state << 1) & moves(character, 0)) | (
                state & (stays if character == "/" else stays_inside)
            )
            if not state:
                return False
        return bool(state & self.end)


@dataclass(frozen=True, slots=True)
class PathGlobs:
    """Path globs; two are equal when they were written from the same globs."""

    globs: frozenset[str]
    forbidding: bool
    exact: frozenset[str]
    prefixes: tuple[str, ...]
    automaton: _Automaton

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, PathGlobs)
            and self.globs == other.globs
            and self.forbidding == other.forbidding
        )

    def __hash__(self) -> int:
        return hash((self.globs, self.forbidding))

    def match(self, path: str) -> bool:
        """Whether any glob matches the whole path."""
        # Most globs are whole paths or end in their only `**`: those need no automaton.
        return (
            path in self.exact
            or path.startswith(self.prefixes)
            or (self.automaton.begin != 0 and self.automaton.match(path))
        )

    def forbid(self, path: str) -> bool:
        """Whether any glob matches the path, as it is or as a lenient upstream would read it."""
        if self.match(path):
            return True
        # Both with and without the final slash, so that `/admin/**` and `/admin` close each other.
        lenient = folded_path(path)
        return self.match(lenient) or self.match(lenient + "/")

    def __or__(self, other: "PathGlobs") -> "PathGlobs":
        return _compiled(self.globs | other.globs, self.forbidding)


def path_globs(raw: object) -> PathGlobs:
    """Reads a list of path globs that allow: test it with `match`."""
    return _compiled(_checked(raw), forbidding=False)


def forbidden_globs(raw: object) -> PathGlobs:
    """Reads a list of path globs that forbid: test it with `forbid`."""
    return _compiled(_checked(raw), forbidding=True)


def _checked(raw: object) -> frozenset[str]:
    """The globs, with escapes in upper case; one that no judged path can match is refused."""
    globs = texts(raw)
    for glob in globs:
        if not _GLOB.fullmatch(glob):
            raise ValueError(
                "must be a list of globs that begin with / or **, percent-encoded, without a query"
            )
        if _NO_SEGMENT.search(glob):
            raise ValueError("must be a list of globs without empty, . and .. segments")
        for digits in _ESCAPE.findall(glob):
            if chr(int(digits, 16)) in _UNRESERVED | _NEVER_ESCAPED:
                raise ValueError(
                    f"must be a list of globs without %{digits}: no judged path holds it"
                )
    return frozenset(_ESCAPE.sub(lambda escape: escape[0].upper(), glob) for glob in globs)


def _compiled(globs: frozenset[str], forbidding: bool) -> PathGlobs:
    exact = set()
    prefixes = set()
    rest = []
    for glob in sorted(globs):
        written = _pieces(glob)
        for pieces in (written, _lenient(written)) if forbidding else (written,):
            match pieces:
                case [literal]:
                    exact.add(literal)
                case [literal, "**", ""]:
                    prefixes.add(literal)
                case _:
                    rest.append(pieces)
    return PathGlobs(globs, forbidding, frozenset(exact), tuple(sorted(prefixes)), _automaton(rest))


def _pieces(glob: str) -> list[str]:
    """Literals at even places, and between them `*` or `**`."""
    pieces = _STARS.split(glob)
    pieces[1::2] = ["*" if stars == "*" else "**" for stars in pieces[1::2]]
    return pieces


def _lenient(pieces: list[str]) -> list[str]:
    lenient = pieces.copy()
    lenient[0::2] = [unquote(literal, errors="replace").casefold() for literal in pieces[0::2]]
    return lenient


def _automaton(globs: list[list[str]]) -> _Automaton:
    begin = end = stays = across = 0
    moves: dict[str, int] = {}
    bit = 1
    for pieces in globs:
        begin |= bit
        for place, piece in enumerate(pieces):
            if place % 2 == 0:
                for character in piece:
                    bit <<= 1
                    moves[character] = moves.get(character, 0) | bit
            elif piece == "**":
                across |= bit
            else:
                stays |= bit
        end |= bit
        bit <<= 1
    return _Automaton(begin, end, moves, across, across | stays)
