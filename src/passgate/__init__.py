"""passgate: a gate that judges every request of an AI agent by its passport."""

__version__ = "0.1.0"
