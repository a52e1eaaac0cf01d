"""The egress process: the only way out of a boundary, and the only holder of secrets."""
