"""Operations to routes and entries: each is there, or somebody is told why not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passgate.core.catalog import parse_catalog
from passgate.core.route_table import RouteTable
from passgate.core.routes import make_route
from passgate.openapi import Document, Translation, translate
from passgate.openapi.naming import Names


def made(paths: dict[str, Any], base_path: str | None = None, **more: Any) -> Translation:
    return translate(Document({"openapi": "3.1.0", "paths": paths, **more}), base_path)


def matches(translation: Translation) -> list[str]:
    return [f"{each.match} {each.action}" for each in translation.operations]


def told(translation: Translation) -> list[tuple[str, str]]:
    return [(note.kind, note.where) for note in translation.notes]


def test_every_operation_becomes_a_route_and_an_action() -> None:
    """By its tag and id, with a risk guessed from its method and nothing else guessed."""
    found = made(
        {
            "/pets": {
                "get": {"tags": ["Pets", "x"], "operationId": "listPets", "summary": "All pets"},
                "post": {"tags": ["Pets"], "operationId": "pets/create"},
                "parameters": [],
                "summary": "Pets",
                "x-anything": {},
            },
            "/pets/{id}": {"delete": {"description": "Ends it.\n\nFor ever."}},
            "x-not-a-path": {"get": {}},
        }
    )
    assert matches(found) == [
        "GET /pets pets:list_pets",
        "POST /pets pets:create",
        "DELETE /pets/{id} pets:delete_pets_id",
    ]
    assert found.notes == []
    assert [each.risk_level for each in found.operations] == ["low", "medium", "high"]
    assert [each.display_name for each in found.operations] == [
        *("All pets", "pets/create", "DELETE /pets/{id}"),
    ]
    assert [each.description for each in found.operations] == ["", "", "Ends it."]


def test_routes_are_in_an_order_in_which_none_hides_another() -> None:
    """Whatever the order of the document; OpenAPI matches concrete paths first."""
    found = made(
        {
            "/{a}": {"get": {}},
            "/{a}/{b}": {"get": {}, "head": {}},
            "/pets/{id}": {"get": {}},
            "/pets/mine": {"get": {}},
            "/files/{path+}": {"get": {}},
        }
    )
    assert [each.match for each in found.operations] == [
        "GET /pets/mine",
        "GET /pets/{id}",
        "GET /files/**",
        "GET /{a}",
        "HEAD /{a}/{b}",
        "GET /{a}/{b}",
    ]


def test_what_cannot_be_told_apart_is_a_conflict() -> None:
    """The plain one is kept; the other would be judged as it, which the operator must know."""
    found = made(
        {
            "/users/{id}:activate": {"post": {"operationId": "activate"}},
            "/users/{id}": {"post": {"operationId": "update"}},
            "/users/{name}": {"post": {"operationId": "again"}, "get": {"operationId": "show"}},
            "/users/x?a": {"get": {"operationId": "first"}},
            "/users/x#b": {"get": {"operationId": "second"}},
        }
    )
    assert matches(found) == [
        "GET /users/x users:first",
        "POST /users/{id} users:update",
        "GET /users/{name} users:show",
    ]
    assert ("conflict", "POST /users/{id}:activate") in told(found)
    assert ("conflict", "POST /users/{name}") in told(found)
    assert ("conflict", "GET /users/x#b") in told(found)
    (activate,) = [
        n for n in found.notes if n.where == "POST /users/{id}:activate" and n.kind != "widened"
    ]
    assert activate.sentence == "POST /users/{id} matches it too, so it is judged as users:update"
    assert found.found == 6


def test_paths_that_cross_are_ambiguous() -> None:
    """Both match `/a/b`; neither is more particular."""
    found = made({"/a/{x}": {"get": {}}, "/{y}/b": {"get": {}}, "/{y}/": {"get": {}}})
    assert told(found) == [("ambiguous", "GET /a/{x}")]
    assert "GET /{y}/b" in found.notes[0].sentence
    assert told(made({"/a/{x}": {"get": {}}, "/{y}/b": {"post": {}}})) == []
    assert told(made({"/a/{x}/c": {"get": {}}, "/{y}/b/d": {"get": {}}})) == []
    assert told(made({"/a/": {"get": {}}, "/{y}/{z}": {"get": {}}})) == []


def test_nothing_is_left_out_in_silence() -> None:
    """Each operation is counted, and each that has no route has a note."""
    found = made(
        {
            "/good": {"get": {}, "trace": {}, "GET": {}, "query": {}},
            "/a//b": {"get": {}, "put": {}},
            "/other": {"$ref": "paths.yaml#/other"},
            "/broken": {"get": {"$ref": "#/nowhere"}, "put": 5},
            "/list": [],
            "relative": {"get": {}},
            "/refers": {"$ref": "#/components/pathItems/shared"},
        },
        components={"pathItems": {"shared": {"get": {"operationId": "shared"}}}},
        webhooks={"hook": {"post": {}}},
    )
    assert matches(found) == ["GET /good good:get_good", "GET /refers refers:shared"]
    assert sorted(told(found)) == [
        ("left_out", "/list"),
        ("left_out", "/other"),
        ("left_out", "GET /a//b"),
        ("left_out", "GET /broken"),
        ("left_out", "GET relative"),
        ("left_out", "PUT /a//b"),
        ("left_out", "PUT /broken"),
        ("left_out", "TRACE /good"),
        ("unread", "/good GET"),
        ("unread", "/good query"),
        ("unread", "webhooks"),
    ]
    assert found.found == len(found.operations) + found.count("left_out")


@pytest.mark.parametrize(
    ("servers", "base"),
    [
        ([], ""),
        ([{"url": "https://api.example"}], ""),
        ([{"url": "https://api.example/v1/"}], "/v1"),
        ([{"url": "/v1"}], "/v1"),
        ([{"url": "v1"}], "/v1"),
        ([{"url": "{scheme}://h/{base}/x", "variables": {"base": {"default": "v2"}}}], "/v2/x"),
        ([{"url": "/{base}/x", "variables": {"base": 5}}], "/{base}/x"),
        ([{"url": "//h/v4?a#b"}], "/v4"),
        ([{"url": "/v5?a#b"}], "/v5"),
        ([{"no": "url"}, 5, {"url": "/v3"}], "/v3"),
        ("no list", ""),
    ],
)
def test_paths_stand_below_the_first_server(servers: Any, base: str) -> None:
    """Variables have their defaults; what is no server is none."""
    found = made({"/a": {"get": {}}}, servers=servers)
    assert (found.base_path, found.operations[0].match) == (base, f"GET {base}/a")


def test_a_base_path_with_a_variable_left_is_a_parameter() -> None:
    """A server's variable without a default is part of the path, whatever it holds."""
    found = made({"/a": {"get": {}}}, servers=[{"url": "/{tenant}"}])
    assert found.operations[0].match == "GET /{tenant}/a"


def test_other_servers_are_told() -> None:
    """Another base path, and another host of one operation."""
    found = made(
        {
            "/a": {"get": {"servers": [{"url": "https://uploads.example/up"}]}, "put": {}},
            "/b": {"servers": [{"url": "https://api.example/b"}], "get": {}},
        },
        servers=[{"url": "https://api.example/v1"}, {"url": "https://api.example/v2"}],
    )
    assert [each.match for each in found.operations] == ["GET /up/a", "PUT /v1/a", "GET /b/b"]
    assert told(found) == [("other_server", "/v2"), ("other_server", "GET /a")]


def test_a_base_path_can_be_given() -> None:
    """Then no server counts; a host is told all the same."""
    found = made(
        {"/a": {"get": {"servers": [{"url": "https://other.example/up"}]}}},
        "/gate/",
        servers=[{"url": "https://api.example/v1"}, {"url": "https://api.example/v2"}],
    )
    assert [each.match for each in found.operations] == ["GET /gate/a"]
    assert told(found) == [("other_server", "GET /a")]


def test_names_are_given_once() -> None:
    """Who comes second has a number, which is told."""
    found = made(
        {
            "/a": {"get": {"operationId": "x"}, "put": {"operationId": "x"}},
            "/a/b": {"get": {"operationId": "X"}},
        }
    )
    assert [each.action for each in found.operations] == ["a:x", "a:x_2", "a:x_3"]
    assert told(found) == [("renamed", "PUT /a"), ("renamed", "GET /a/b")]


@pytest.mark.parametrize(
    ("tag", "operation_id", "path", "name"),
    [
        ("Pets", "listPets", "/p", "pets:list_pets"),
        ("repos", "repos/list-for-org", "/p", "repos:list-for-org"),
        ("User Management", "UserManagement.getHTTPCode", "/p", "user_management:get_http_code"),
        ("", "v1_list", "/v1/p", "v1:list"),
        ("", "", "/{a}/b", "b:get_a_b"),
        ("", "", "/", "api:get_root"),
        ("!!", "??", "/{x}", "api:get_x"),
        ("a:b*c", "d:e*f", "/p", "a_b_c:d_e_f"),
        ("größe", "Maße", "/p", "größe:maße"),
        ("pets", "pets", "/p", "pets:pets"),
        ("pets", "pets_", "/p", "pets:pets"),
        ("pets", "petsitter", "/p", "pets:petsitter"),
        ("pets", "-pets", "/p", "pets:pets"),
    ],
)
def test_a_name_is_a_namespace_and_an_action(
    tag: str, operation_id: str, path: str, name: str
) -> None:
    """Without anything that a permission would take for a pattern."""
    assert Names().give(tag, operation_id, "GET", path) == (name, name)


def test_a_long_name_is_cut_and_stays_its_own() -> None:
    """What was cut counts by its hash."""
    names = Names()
    first, second = (names.give("ü" * 200, "é" * 400 + end, "GET", "/")[0] for end in "ab")
    assert first != second
    assert max(len(first.encode()), len(second.encode())) <= 256


@pytest.mark.parametrize(
    ("security", "operation", "public"),
    [
        (None, None, False),
        ([{"key": []}], None, False),
        ([{"key": []}], [], True),
        ([{"key": []}], [{}, {"key": []}], True),
        ([], None, True),
        ([], [{"key": []}], False),
        ("none", None, False),
    ],
)
def test_what_needs_no_credentials_is_found(security: Any, operation: Any, public: bool) -> None:
    """By the operation's own word, else the document's; silence is not taken for consent."""
    declared = {} if operation is None else {"security": operation}
    more = {} if security is None else {"security": security}
    assert made({"/a": {"get": declared}}, **more).operations[0].public is public


def test_texts_are_short_and_in_one_line() -> None:
    """What is no text is none."""
    found = made(
        {"/a": {"get": {"summary": "  a\n b ", "description": "x" * 600, "operationId": 5}}}
    )
    (only,) = found.operations
    assert (only.display_name, len(only.description), only.description[-1]) == ("a b", 500, "…")
    assert made({"/a": {"get": {"tags": [5], "summary": 5}}}).operations[0].action == "a:get_a"


@pytest.mark.parametrize("paths", [{}, {"x-a": {}}, {"/a": {"summary": "x"}}])
def test_a_document_without_operations_is_refused(paths: dict[str, Any]) -> None:
    """An empty catalog would offer nothing at all."""
    with pytest.raises(ValueError, match="no operation"):
        made(paths)


def test_paths_that_are_no_object_are_refused() -> None:
    """With a sentence."""
    with pytest.raises(ValueError, match="`paths`"):
        translate(Document({"paths": []}))


_SEGMENTS = st.sampled_from(
    ["a", "b", "{x}", "{y}", "{x}.json", "a:{x}", "{r+}", "", "b c", "..", "a;b", "{", "é"]
)
_PATHS = st.lists(_SEGMENTS, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
_ITEMS = st.dictionaries(
    st.sampled_from(["get", "head", "post", "delete", "trace", "query"]), st.just({}), min_size=1
)


@given(st.dictionaries(_PATHS, _ITEMS, min_size=1, max_size=8))
def test_whatever_is_routed_can_be_reached(paths: dict[str, Any]) -> None:
    """No route hides another, no name is given twice, and no operation is lost."""
    try:
        found = made(paths)
    except ValueError:
        assert not any(set(item) - {"query"} for item in paths.values())
        return
    routes = [
        make_route(index, each.match, each.action) for index, each in enumerate(found.operations)
    ]
    assert RouteTable(routes).unreachable() == []
    offered = parse_catalog({"permissions": [{"key": each.action} for each in found.operations]})
    assert len(offered.entries) == len(routes)
    unrouted = found.count("left_out") + found.count("conflict")
    assert found.found == len(routes) + unrouted
