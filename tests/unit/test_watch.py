"""Changed files are noticed, however they were changed."""

import os
from pathlib import Path

from passgate.watch import Watch, stamp, stamps


def test_every_way_to_change_a_file_is_seen_once(tmp_path: Path) -> None:
    """Written again, replaced by a rename, or by another target of a link."""
    file, other, link = tmp_path / "a", tmp_path / "b", tmp_path / "link"
    file.write_text("one")
    link.symlink_to(file)
    watch = Watch([file, link])
    assert not watch.changed()

    file.write_text("more")
    assert watch.changed()
    assert not watch.changed()

    other.write_text("more")
    status = file.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)
    assert watch.changed()

    other.write_text("else")
    link.unlink()
    assert not watch.changed()
    link.symlink_to(other)
    assert watch.changed()
    assert not watch.changed()


def test_a_file_that_is_gone_is_no_change_until_there_is_one_again(tmp_path: Path) -> None:
    """Whoever replaces it by removing it first is not done yet."""
    file = tmp_path / "a"
    file.write_text("one")
    watch = Watch([file])
    file.unlink()
    assert not watch.changed()
    file.write_text("another")
    assert watch.changed()


def test_another_set_of_files_keeps_what_was_seen(tmp_path: Path) -> None:
    """A change between two looks is not lost because the set changed as well."""
    kept, added, left = tmp_path / "kept", tmp_path / "added", tmp_path / "left"
    for file in (kept, added, left):
        file.write_text("one")
    watch = Watch([kept, left])
    kept.write_text("more")
    left.write_text("more")
    watch.follow([kept, added])
    assert watch.changed()
    left.write_text("even more")
    assert not watch.changed()
    added.write_text("more")
    assert watch.changed()


def test_stamps_tell_files_apart(tmp_path: Path) -> None:
    file = tmp_path / "a"
    assert stamps([file, None]) == (None, None)
    file.write_text("one")
    before = stamp(file)
    assert stamps([None, file]) == (None, before)
    file.write_text("more")
    assert stamp(file) != before


def test_an_awaited_file_counts_as_soon_as_it_is_there(tmp_path: Path) -> None:
    """Also where it came between the last look and the moment from which it is watched."""
    file, awaited = tmp_path / "a", tmp_path / "b"
    file.write_text("one")
    watch = Watch([file])
    awaited.write_text("there already")
    watch.follow([file], [awaited])
    assert watch.changed()
    assert not watch.changed()
    watch.follow([file], [awaited])
    assert not watch.changed(), "what was seen is kept, so that it counts once"
    watch.follow([file], [tmp_path / "c"])
    assert not watch.changed()
