"""The grammar of HTTP/1.1 messages (RFC 9112, RFC 9110) as patterns, without its leniencies.

RFC 9112 lets a recipient accept a bare LF, obsolete folding and more; two programs that choose
differently are what request smuggling lives on, so none of it is accepted here, in either
direction. Repetitions are possessive: no input makes a pattern backtrack.
"""

import re
from typing import Final

_TCHAR: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TOKEN: Final = _TCHAR + rb"++"
# field-vchar, SP and HTAB (RFC 9110 section 5.5): no CR, LF, NUL or other control character.
_VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*+"
_FIELD_LINE: Final = _TOKEN + rb":" + _VALUE + rb"\r\n"

REQUEST_HEAD: Final = re.compile(
    rb"(" + _TOKEN + rb") ([\x21-\x7e]++) HTTP/1\.([01])\r\n(?:" + _FIELD_LINE + rb")*+\r\n"
)
"""A whole request head: method, target, minor version (RFC 9112 section 3)."""

RESPONSE_HEAD: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: (" + _VALUE + rb"))?\r\n(?:" + _FIELD_LINE + rb")*+\r\n"
)
"""A whole response head: minor version, status, reason phrase (RFC 9112 section 4).

The space after the status may be missing with an empty reason: old servers send it so, and no two
readers differ on what it means.
"""

FIELD_LINE: Final = re.compile(rb"(" + _TOKEN + rb"):(" + _VALUE + rb")\r\n")
"""One field line of a trailer section (RFC 9112 section 7.1.2)."""

# An atomic group here, since Python before 3.11.5 ends a possessive repetition of alternatives in
# the midst of one that does not fit.
_EXTENSION: Final = rb";" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb'|"[\t !#-\[\]-~]*+"))?'
CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?>(?:" + _EXTENSION + rb")*)\r\n")
"""Chunk size and extensions (RFC 9112 section 7.1): no white space, sign or escape; 60 bits."""

BREAKS_LINE: Final = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\x00")
"""A bare LF, a bare CR or a NUL: wrong wherever it stands in a head (RFC 9112 section 2.2)."""

PLAIN_REQUEST_LINE: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) (/[\x21-\x7e]*+) HTTP/1\.1\r\n"
)
"""The request line of nearly every request: one of `REQUEST_HEAD`'s that llhttp never refuses."""

REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([^\r\n ]++) HTTP/([0-9])\.([0-9])\r\n")

HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]++\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})++)(?::[0-9]{0,5})?"
)
"""uri-host and port (RFC 9110 section 7.2)."""

DIGITS: Final = re.compile(rb"[0-9]{1,18}")
"""A Content-Length (RFC 9110 section 8.6): one decimal number that fits 64 bits."""
