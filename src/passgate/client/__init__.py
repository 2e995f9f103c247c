"""CARRIES: what an agent uses to present a passport, prove it its own, and hand on less."""
