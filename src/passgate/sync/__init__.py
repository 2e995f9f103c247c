"""LEARNS whom to trust: reads sources of keys and revocations, keeps the last good copies."""
