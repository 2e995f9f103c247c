"""Fuzzing of the data plane without sockets; `python -m tests.fuzz` runs it for long."""
