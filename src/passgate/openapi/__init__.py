"""TRANSLATES an OpenAPI document into routes and a catalog, and tells all that it cannot."""

from passgate.openapi.document import Document, read_document
from passgate.openapi.notes import Note
from passgate.openapi.translation import Translation, translate
from passgate.openapi.writing import catalog_text, routes_text

__all__ = [
    "Document",
    "Note",
    "Translation",
    "catalog_text",
    "read_document",
    "routes_text",
    "translate",
]
