"""The Markdown files hang together: links lead somewhere, and nothing in them is of one machine."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_OURS = {"build", "dist", "node_modules", "passgate-data"}

_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.M | re.S)
_CODE = re.compile(r"(`+).+?\1", re.S)
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.M)
_ANCHOR = re.compile(r"<a id=\"([^\"]+)\">")

_OF_ONE_MACHINE = re.compile(r"(?<![\w.~-])/(?:root|home|Users|mnt)/")
_INDEX_HOST = re.compile(r"\bpypi\b|python" + r"hosted|\bindex-url\b|/simple/", re.I)


def _pages() -> Iterator[Path]:
    for place, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name[0] != "." and name not in NOT_OURS]
        yield from (Path(place, name) for name in files if name.endswith(".md"))


PAGES = sorted(_pages())


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _links(page: Path) -> list[str]:
    """What the links of a page point at, code left out."""
    text = _FENCE.sub("", page.read_text())
    shown = _CODE.sub("code", text)
    return [target for target in _LINK.findall(shown) if not re.match(r"[a-z]+:", target)]


def _anchors(page: Path) -> set[str]:
    """Every anchor that a page has: its headings, as forges name them, and explicit ones."""
    text = _FENCE.sub("", page.read_text())
    seen: dict[str, int] = {}
    for heading in _HEADING.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        seen[slug] = seen.get(slug, -1) + 1
    headings = {
        f"{slug}-{n}" if n else slug for slug, last in seen.items() for n in range(last + 1)
    }
    return headings | set(_ANCHOR.findall(text))


def _broken(page: Path) -> list[str]:
    wrong = []
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(ROOT) or not target.exists():
            wrong.append(f"{link}: no such file")
        elif anchor and (target.suffix != ".md" or anchor not in _anchors(target)):
            wrong.append(f"{link}: no such anchor")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Each relative link names a file of this tree, and each anchor one of that page."""
    assert _broken(page) == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_nothing_is_of_one_machine(page: Path) -> None:
    """No path of somebody's machine, no host of a package index."""
    text = page.read_text()

    for forbidden in (_OF_ONE_MACHINE, _INDEX_HOST):
        assert forbidden.findall(text) == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    """Whoever starts at README.md finds every page by following links."""
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        ahead += [(page.parent / link.partition("#")[0]).resolve() for link in _links(page)]

    mine = {page for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert sorted(map(_name, mine - reached)) == []


def test_what_is_wrong_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a missing anchor and a way out of the tree are found; code is not read."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# A `core:x` heading, twice\n# A `core:x` heading, twice\n"
        "[a](none.md) [b](#none) [c](../out.md) [d](#a-corex-heading-twice-1) [e](page.md)\n"
        "`[f](none.md)`\n```text\n[g](none.md)\n```\n[h](https://example.com/none.md)\n"
    )

    found = [sentence.partition(":")[0] for sentence in _broken(page)]
    assert found == ["none.md", "#none", "../out.md"]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (_OF_ONE_MACHINE, "in /home/mia/x"),
        (_OF_ONE_MACHINE, "`/Users/mia/x`"),
        (_INDEX_HOST, "https://py" + "pi.org/x"),
    ],
)
def test_what_must_not_stand_is_noticed(pattern: re.Pattern[str], text: str) -> None:
    """The patterns find what they are for."""
    assert pattern.search(text)
