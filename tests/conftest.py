"""Shared by every test; deliberately almost empty."""
