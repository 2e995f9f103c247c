"""SHARES what was spent: counters on a Valkey or Redis server that several gates take from."""
