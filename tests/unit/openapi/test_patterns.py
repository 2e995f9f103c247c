"""From path templates to patterns of routes: never narrower, and told where wider."""

import pytest

from passgate.core.routes import make_route
from passgate.openapi.patterns import make_pattern

SAME = {
    "/": "/",
    "/pets": "/pets",
    "/pets/": "/pets/",
    "/pets/{id}": "/pets/{id}",
    "/{a}/{b}": "/{a}/{b}",
    "/{pet-id}/{pet.id}/{2x}/{}/{ö}": "/{pet_id}/{pet_id_2}/{_2x}/{value}/{value_2}",
    "/with space/ü": "/with%20space/%C3%BC",
    "/a:b/@c/$d/(e)/f,g": "/a:b/@c/$d/(e)/f,g",
    "/100%25": "/100%25",
    "/v1.0/~me": "/v1.0/~me",
}
WIDER = {
    "/files/{name}.json": "/files/{name}",
    "/{a}-{b}": "/{a}",
    "/v{version}/x": "/{version}/x",
    "/users/{id}:activate": "/users/{id}",
    "/at/{lat},{lon}": "/at/{lat}",
    "/items?kind=a": "/items",
    "/items{?kind,sort}": "/items",
    "/items/{id}{?kind}": "/items/{id}",
    "/#Amz.Target": "/",
    "/a#b?c": "/a",
    "/{proxy+}": "/**",
    "/files/{path:.*}": "/files/**",
    "/files/{path:path}": "/files/**",
    "/files/{path*}": "/files/**",
    "/{+name}": "/**",
    "/x/{name=**}": "/x/**",
}
NONE = {
    "pets": "begin with a slash",
    "": "begin with a slash",
    "//pets": "empty segment",
    "/a//b": "empty segment",
    "/a/../b": "'..'",
    "/a/.": "'.'",
    "/{path+}/raw": "several segments, and more follows",
    "/a{b": "braces",
    "/a}b": "braces",
    "/{a{b}}": "braces",
    "/a;b": "';'",
    "/a*b": "'*'",
    "/*": "'*'",
    "/a\\b": "a route cannot name",
}


@pytest.mark.parametrize(("template", "path"), SAME.items())
def test_a_template_of_whole_segments_is_a_pattern(template: str, path: str) -> None:
    """Names that a route cannot have are changed; that matches nothing else."""
    pattern = make_pattern(template)
    assert (pattern.path, pattern.widened) == (path, ())
    assert make_route(0, f"GET {path}", "x").segments == pattern.shape


@pytest.mark.parametrize(("template", "path"), WIDER.items(), ids=repr)
def test_a_template_that_says_more_is_widened_and_told(template: str, path: str) -> None:
    """A gate that matched less would refuse what the document offers."""
    pattern = make_pattern(template)
    assert pattern.path == path
    assert pattern.widened
    make_route(0, f"GET {path}", "x")


@pytest.mark.parametrize(("template", "sentence"), NONE.items(), ids=repr)
def test_a_template_without_a_pattern_is_told(template: str, sentence: str) -> None:
    """With what is in its way."""
    with pytest.raises(ValueError, match=r"path|segment|braces|route") as caught:
        make_pattern(template)
    assert sentence in str(caught.value)


def test_an_expression_with_slashes_is_no_segment() -> None:
    """`{name=projects/**}` is cut by its own slash."""
    with pytest.raises(ValueError, match="braces"):
        make_pattern("/v1/{name=projects/**}")


def test_the_more_particular_pattern_comes_first() -> None:
    """Sorted by their kinds, no pattern hides one that matches less."""
    templates = ["/{x+}", "/a/{b}", "/{a}/b", "/a/b", "/a", "/a/{b+}", "/{a}/{b}"]
    ordered = sorted(map(make_pattern, templates), key=lambda pattern: pattern.kinds)
    assert [pattern.path for pattern in ordered] == [
        *("/a", "/a/b", "/a/{b}", "/a/**", "/{a}/b", "/{a}/{b}", "/**"),
    ]
