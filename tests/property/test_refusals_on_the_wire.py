"""Whatever a refusal or the configuration says: no header line is broken, and the body is JSON."""

import json

from hypothesis import given
from hypothesis import strategies as st

from passgate.core.reasons import REASONS, Refusal
from passgate.proxy.refusals import Surface, render

texts = st.text(max_size=40) | st.sampled_from(
    ["\r\n\r\nHTTP/1.1 200 OK", '"', "\\", "\x00", "\u2028", ">; rel=x", "%0d%0a"]
)
surfaces = st.builds(
    Surface, texts, texts, st.just(("Passport", "Bearer")), texts, texts, texts
)  # fmt: skip
refusals = st.builds(
    Refusal,
    st.sampled_from(sorted(REASONS)),
    texts,
    texts,
    st.none() | st.integers(0, 10**9),
    st.lists(texts, max_size=2).map(tuple),
)


@given(refusals, surfaces, st.booleans())
def test_a_refusal_is_always_whole_lines_and_json(
    refusal: Refusal, surface: Surface, anonymous: bool
) -> None:
    """Printable ASCII in every line, one colon before its value, and the texts only in the body."""
    answer = render(refusal, surface, decision_id="att_X", anonymous=anonymous)

    lines = answer.headers.split(b"\r\n")
    assert lines.pop() == b""
    names = [line.partition(b": ")[0] for line in lines]
    assert all(all(0x20 <= byte < 0x7F for byte in line) for line in lines)
    assert set(names) <= {
        b"Content-Type",
        b"Cache-Control",
        b"Retry-After",
        b"WWW-Authenticate",
        b"Passport-Upgrade",
        b"Link",
        b"Passport-Decision",
        b"Passport-Decision-Id",
    }
    assert all(line.count(b'"') % 2 == 0 for line in lines)
    body = json.loads(answer.body)
    assert body["detail"] == (refusal.detail or REASONS[refusal.code].title)
    assert body["code"] == refusal.code
