"""Decides: pure functions of requests, addresses and rules."""
