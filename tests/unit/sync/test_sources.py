"""Sources on this machine, and what is no source."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from passgate.core.jwks import MAX_JWKS_BYTES
from passgate.errors import SourceError
from passgate.sync.http_source import HttpSource
from passgate.sync.sources import (
    SOURCES,
    Fetched,
    FileSource,
    InlineSource,
    NotModified,
    Opened,
    Source,
    open_source,
)


def read(source: Source, etag: str | None = None) -> Fetched | NotModified:
    return asyncio.run(source.read(etag))


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(b"x" * MAX_JWKS_BYTES)
    assert read(open_source(f"file:{file}", "keys")) == Fetched(b"x" * MAX_JWKS_BYTES, None)


def test_a_file_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(b"x" * (MAX_JWKS_BYTES + 1))
    with pytest.raises(SourceError, match="larger than 1048576 bytes"):
        read(open_source(f"file:{file}", "keys"))
    assert isinstance(read(open_source(f"file:{file}", "revocations")), Fetched)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read: No such file or directory"):
        read(FileSource(f"file:{tmp_path}/none", "keys"))


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        read(FileSource("file:/tmp/a\0b", "keys"))


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a regular file"):
        read(FileSource(f"file:{tmp_path}", "keys"))


def test_a_device_that_never_ends_is_no_file() -> None:
    with pytest.raises(SourceError, match="not a regular file"):
        read(FileSource("file:/dev/zero", "keys"))


def test_a_pipe_without_a_writer_blocks_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="not a regular file"):
        read(FileSource(f"file:{tmp_path}/pipe", "keys"))


def test_a_file_has_changed_when_time_size_or_inode_differ(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("one")
    source = FileSource(f"file:{file}", "revocations")
    assert source.changed()
    read(source)
    assert not source.changed()
    file.write_text("four")
    assert source.changed()
    read(source)
    os.utime(file, ns=(1, 1))
    assert source.changed()
    read(source)
    other = tmp_path / "other"
    other.write_text("five")
    os.utime(other, ns=(1, 1))
    other.rename(file)
    assert source.changed()
    read(source)
    assert not source.changed()


def test_a_file_that_goes_and_comes_back_has_changed_each_time(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("one")
    source = FileSource(f"file:{file}", "revocations")
    read(source)
    file.unlink()
    assert source.changed()
    with pytest.raises(SourceError):
        read(source)
    assert not source.changed()
    file.write_text("one")
    assert source.changed()


def test_a_file_that_fails_is_not_tried_again_before_it_changes(tmp_path: Path) -> None:
    source = FileSource(f"file:{tmp_path}", "keys")
    with pytest.raises(SourceError):
        read(source)
    assert not source.changed()


def test_an_inline_document_is_its_own_source() -> None:
    document = {"keys": [{"kty": "OKP"}]}
    source = open_source(document, "keys")
    answer = read(source, "etag")
    assert isinstance(answer, Fetched)
    assert json.loads(answer.body) == document
    assert isinstance(source, InlineSource)
    assert source.name != InlineSource({"keys": []}, "keys").name
    assert not source.changed()


def test_the_table_names_every_scheme() -> None:
    assert set(SOURCES) == {"file", "http", "https", "oidc", "did"}


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("jwks.json", "not a path"),
        ("/etc/jwks.json", "not a path"),
        ("ftp://host/x", "not ftp"),
        ("file:", "needs a path"),
        ("https:", "needs a host"),
        ("https:///x", "needs a host"),
        ("https://[::1/x", "malformed"),
        ("https://host:port/x", "malformed"),
        ("https://host/a b", "ASCII"),
        ("https://host/a\nb", "ASCII"),
        ("https://höst/x", "ASCII"),
        ("https://user:pw@host/x", "no user"),
        ("https://@host/x", "no user"),
        ("https://host/x#y", "fragment"),
        ("http://host/x", "use https, or set insecure_http"),
        ("http://10.0.0.1/x", "use https"),
        ("http://127.0.0.1.evil.example/x", "use https"),
        ("http://localhost.evil.example/x", "use https"),
        ("http://0.0.0.0/x", "use https"),
        ("http://2130706433/x", "use https"),
        ("oidc:", "must be oidc: and the URL"),
        ("oidc:file:/etc/passwd", "must be oidc: and the URL"),
        ("oidc:http://issuer.example", "use https"),
        ("oidc:https://user:pw@issuer.example", "no user"),
        ("did:key:z6Mk", "must be did:web:HOST"),
        ("did:web:127.0.0.1", "must be did:web:HOST"),
    ],
)
def test_what_is_no_source_is_refused_before_anything_is_read(location: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        open_source(location, "keys")


@pytest.mark.parametrize(
    "location",
    [
        "https://host/x",
        "HTTPS://host/x",
        "http://127.0.0.1:1/x",
        "http://127.8.8.8/x",
        "http://[::1]:1/x",
        "http://localhost/x",
    ],
)
def test_plain_http_counts_on_the_loopback_interface_alone(location: str) -> None:
    assert isinstance(open_source(location, "keys"), HttpSource)


def test_plain_http_elsewhere_needs_the_operators_word_and_vouches_for_nothing() -> None:
    assert not open_source("http://host/x", "keys", insecure_http=True).vouches
    assert not open_source("http://127.0.0.1/x", "keys").vouches
    assert open_source("https://host/x", "keys").vouches


def test_a_revocation_list_cannot_stand_inline() -> None:
    with pytest.raises(SourceError, match="inline"):
        open_source({"passport_ids": []}, "revocations")


def test_the_query_of_a_url_is_not_shown() -> None:
    source = open_source("https://host:8443/jwks?token=secret", "keys")
    assert source.name == "https://host:8443/jwks"
    assert open_source("https://[::1]/j", "keys").name == "https://[::1]/j"


class _Endless(Source):
    """Never stops, as a neighbour with ill will."""

    @asynccontextmanager
    async def _open(self, etag: str | None) -> AsyncIterator[Opened | NotModified]:
        yield Opened(self._parts(), None)

    async def _parts(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536


class _Failing(Source):
    """Fails in the middle of its answer, outside of the call that opened it."""

    @asynccontextmanager
    async def _open(self, etag: str | None) -> AsyncIterator[Opened | NotModified]:
        yield Opened(self._parts(), None)

    async def _parts(self) -> AsyncIterator[bytes]:
        yield b"x"
        raise ConnectionResetError(104, "Connection reset by peer\nSet-Cookie: secret")


class _Silent(Source):
    """Never answers."""

    @asynccontextmanager
    async def _open(self, etag: str | None) -> AsyncIterator[Opened | NotModified]:
        await asyncio.Event().wait()
        yield NotModified()


def test_no_implementation_can_exceed_the_limit() -> None:
    with pytest.raises(SourceError, match="endless is larger than"):
        read(_Endless("endless", "keys"))


def test_no_implementation_lets_a_foreign_exception_out() -> None:
    with pytest.raises(SourceError, match=r"failing cannot be read: Connection reset by peer$"):
        read(_Failing("failing", "keys"))


def test_no_implementation_can_keep_its_reader_waiting() -> None:
    with pytest.raises(SourceError, match=r"silent did not answer within 0\.01 s"):
        read(_Silent("silent", "keys", timeout_s=0.01))


def test_closing_a_source_that_holds_nothing_does_nothing() -> None:
    asyncio.run(InlineSource({}, "keys").close())
