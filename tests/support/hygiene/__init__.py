"""Every case of HTTP hygiene, in tables that can be counted; each is named by its rule."""

from tests.support.hygiene.answers import ANSWERS, BROKEN, BROKEN_10, UNUSABLE
from tests.support.hygiene.case import AnswerCase, RequestCase
from tests.support.hygiene.connections import EXPECTATIONS, PERSISTENCE, PIPELINES, TARGETS
from tests.support.hygiene.framing import CHUNKS, CODINGS, JUDGED, LENGTHS
from tests.support.hygiene.request_lines import GRAMMAR, HOSTS, LINES

REQUEST_CASES: tuple[RequestCase, ...] = (
    *LINES,
    *HOSTS,
    *GRAMMAR,
    *LENGTHS,
    *CODINGS,
    *CHUNKS,
    *JUDGED,
    *PERSISTENCE,
    *PIPELINES,
    *EXPECTATIONS,
    *TARGETS,
)
ANSWER_CASES: tuple[AnswerCase, ...] = (*ANSWERS, *BROKEN, *BROKEN_10, *UNUSABLE)
