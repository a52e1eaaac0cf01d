"""Credentials: where secrets come from, how they get into requests, and the session's authority."""
