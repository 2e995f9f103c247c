"""ISSUES: key pairs of issuers, passports, and signed lists of what was revoked."""
