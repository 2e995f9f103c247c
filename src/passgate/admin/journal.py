"""What the admin listener writes to the gate's journal: our own defects, and nothing sent to it.

aiohttp writes a line with the offending bytes, and where they were found, for each request that is
no HTTP: among them may be a token that stands in a header next to the fault, and whoever reaches
the listener could fill a disk with them. The answer says 400 to whoever sent them, and that is all.
"""

import logging
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError


class OurOwn(logging.Filter):
    """Lets through what is no complaint about a request's bytes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line is to be written."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError | RequestPayloadError)


JOURNAL: Final = logging.getLogger("passgate.admin")
"""For `web.AppRunner(logger=...)`."""

JOURNAL.addFilter(OurOwn())
