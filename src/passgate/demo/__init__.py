"""Shows the whole of passgate at work on loopback: an API, an issuer, a gate, and some agents."""

from passgate.demo.run import run_demo

__all__ = ["run_demo"]
