"""`/catalog` and `/catalog/{version or hash}`: the signed bytes, and nothing but them."""

import base64
import json
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import pytest
import rfc8785
from tests.support.house import PREFIX, House, body_of, headers_of, inside
from tests.support.published import Publisher, pin_of

from passgate.core.ed25519 import signature_fits
from passgate.proxy.steps import Answer

CATALOG = f"{PREFIX}/catalog"


async def get(house: House, name: str = "", *tags: str, method: str = "GET") -> Answer:
    headers = tuple(("If-None-Match", tag) for tag in tags)
    return await house.answered(method, CATALOG + name, headers=headers)


def publisher_in(directory: Path) -> Publisher:
    """For a house, which has its key beside its configuration."""
    return Publisher(directory, directory / "passgate-data" / "catalog")


def published(directory: Path, work: Callable[[House], Awaitable[None]]) -> House:
    """A house whose catalog has two versions."""
    publisher = publisher_in(directory)
    publisher.publish(search=5)
    publisher.publish(search=8)
    return inside(directory, work)


def test_what_is_served_can_be_checked_by_a_stranger(tmp_path: Path) -> None:
    """With the key of `/keys` alone, and it is the newest."""

    async def work(house: House) -> None:
        (key,) = body_of(await house.answered("GET", f"{PREFIX}/keys"))["keys"]
        answer = await get(house)
        document = json.loads(answer.body)
        digest = sha256(rfc8785.dumps(document["catalog_snapshot"])).digest()
        assert document["content_hash"] == "sha256:" + digest.hex()
        assert document["signing_key_id"] == key["kid"]
        public_key = base64.urlsafe_b64decode(key["x"] + "=")
        assert signature_fits(base64.b64decode(document["signature"]), digest, public_key)
        assert document["version"] == 2
        assert headers_of(answer) == {
            "content-type": "application/json",
            "etag": f'"{document["content_hash"]}"',
            "cache-control": "no-cache",
        }
        described = body_of(await house.answered("GET", PREFIX + "/"))
        assert described["links"]["catalog"] == CATALOG
        assert described["catalog"] == {
            "version": 2,
            "content_hash": document["content_hash"],
            "min_version": 0,
        }

    published(tmp_path, work)


def test_old_versions_stay_served(tmp_path: Path) -> None:
    """By number and by hash, for ever the same."""

    async def work(house: House) -> None:
        first = await get(house, "/1")
        document = json.loads(first.body)
        assert (document["version"], document["content_hash"]) != (2, "")
        for name in (document["content_hash"], document["content_hash"].replace(":", "%3A")):
            assert await get(house, f"/{name}") == first
        assert headers_of(first)["cache-control"] == "public, max-age=31536000, immutable"
        assert (await get(house, "/2")).body == (await get(house)).body
        assert await get(house, "/1", method="HEAD") == first

    published(tmp_path, work)


@pytest.mark.parametrize(
    "name",
    [
        *("/0", "/3", "/01", "/1/x", "/1;a", "/-1", "/" + "9" * 5000, "/catalog", "/1.json", "/*"),
        *("/sha256:", f"/sha256:{0:064}", "/%2531", "/sha256%253A", "s"),
    ],
)
def test_nothing_else_is_a_version(tmp_path: Path, name: str) -> None:
    """404, whatever the path plays at."""

    async def work(house: House) -> None:
        answer = await get(house, name)
        assert (answer.status, body_of(answer)["code"]) == (404, "action_unknown")

    published(tmp_path, work)


@pytest.mark.parametrize("name", ["/../catalog", "/%2e%2e/x", "//1", "/1%2f", "/\\1", "/%00"])
def test_a_path_with_two_readings_is_no_path(tmp_path: Path, name: str) -> None:
    """It is refused before anybody asks which version it might be."""

    async def work(house: House) -> None:
        assert (await get(house, name)).status == 400

    published(tmp_path, work)


def test_who_has_it_is_not_sent_it_again(tmp_path: Path) -> None:
    """304 for the tag, weak or among others (RFC 9110 section 13.1.2), and for no other."""

    async def work(house: House) -> None:
        whole = await get(house)
        tag = headers_of(whole)["etag"]
        for tags in ((tag,), (f"W/{tag}",), (f'"x", {tag}',), ('"x"', tag)):
            answer = await get(house, "", *tags)
            assert (answer.status, answer.body) == (304, b"")
            assert headers_of(answer)["etag"] == tag
        for tags in (("*",), ('"x"',), (tag.strip('"'),), (tag.upper(),), ("",)):
            assert (await get(house, "", *tags)).status == 200
        assert (await get(house, "/1", tag)).status == 200

    published(tmp_path, work)


def test_old_terms_end_with_the_least_version(tmp_path: Path) -> None:
    """`catalog.min_version` refuses a pin that was good; the version stays served."""
    old = publisher_in(tmp_path).publish(search=5)
    new = publisher_in(tmp_path).publish(search=8)

    async def work(house: House) -> None:
        answer = await house.answered("GET", "/v1/search", house.mint(claims=pin_of(old)))
        assert (answer.status, body_of(answer)["code"]) == (403, "catalog_mismatch")
        await house.forwarded("GET", "/v1/search", house.mint(claims=pin_of(new)))
        assert (await get(house, "/1")).status == 200

    inside(tmp_path, work, catalog={"min_version": 2})


def test_nobody_can_ask_for_it_without_end(tmp_path: Path) -> None:
    """A whole catalog is a question of its address; that nothing changed is told for free."""

    async def work(house: House) -> None:
        tag = headers_of(await get(house))["etag"]
        for _ in range(119):
            assert (await get(house)).status == 200
        answer = await get(house)
        assert (answer.status, body_of(answer)["code"]) == (429, "rate_limited")
        assert (await get(house, "", tag)).status == 304

    published(tmp_path, work)


def test_a_catalog_on_file_is_served_as_version_0(tmp_path: Path) -> None:
    """Signed too, and not to be kept: it may change without a number."""
    (tmp_path / "catalog.json").write_text('{"permissions": [{"key": "api:search"}]}')

    async def work(house: House) -> None:
        for name in ("", "/0"):
            answer = await get(house, name)
            assert json.loads(answer.body)["version"] == 0
            assert headers_of(answer)["cache-control"] == "no-cache"

    inside(tmp_path, work, catalog={"file": "catalog.json"})


def test_without_a_catalog_there_is_none_to_serve(tmp_path: Path) -> None:
    """404, and the description does not promise one."""

    async def work(house: House) -> None:
        assert (await get(house)).status == 404
        assert "catalog" not in body_of(await house.answered("GET", PREFIX + "/"))["links"]

    inside(tmp_path, work)


def test_the_holder_is_told_both_limits_and_the_record_both_hashes(tmp_path: Path) -> None:
    """What is owed by the catalog in force, and by the version that the passport keeps."""
    publisher = publisher_in(tmp_path)
    old = publisher.publish(search={"core:pricing:per_call_cents": 5})
    new = publisher.publish(search={"core:pricing:per_call_cents": 8, "core:rate:max_total": 9})

    async def work(house: House) -> None:
        kept = house.mint(claims=pin_of(old))
        told = body_of(await house.answered("GET", f"{PREFIX}/passport", kept))
        assert told["actions"]["api:search"]["constraints"] == {
            "catalog": {"core:pricing:per_call_cents": 8, "core:rate:max_total": 9},
            "pinned_catalog": {"core:pricing:per_call_cents": 5},
        }
        await house.forwarded("GET", "/v1/search", kept)
        await house.forwarded("GET", "/v1/search", house.mint(claims=pin_of(new)))

    first, second = inside(tmp_path, work).lines("decision")
    assert (first["catalog"], first["catalog_version"]) == (new.catalog.content_hash, 2)
    assert first["facts"]["terms"] == old.catalog.content_hash
    assert (first["cost_cents"], second["cost_cents"]) == (5, 8)
    assert "terms" not in second["facts"]
