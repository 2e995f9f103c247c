"""ASKS a person: requests that are held, what becomes of them, and who decided.

`Approvals` keeps what is held and what was decided, `Book` puts it on disk, `Courier` tells a
webhook. Nothing here judges or forwards a request.
"""

from passgate.approvals.book import Book
from passgate.approvals.courier import Courier
from passgate.approvals.desk import Approvals
from passgate.approvals.settings import ApprovalSettings, WebhookSettings

__all__ = ["ApprovalSettings", "Approvals", "Book", "Courier", "WebhookSettings"]
