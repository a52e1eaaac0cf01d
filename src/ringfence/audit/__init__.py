"""The record of a session: append-only, hash-chained, checked and queried."""
