"""REMEMBERS what was spent: one protocol, several implementations; the table is `LEDGERS`."""
