"""One tier a file: from a plan to what starts it."""
