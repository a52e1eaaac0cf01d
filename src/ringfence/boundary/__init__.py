"""Plans and launches: everything between a policy and a running boundary."""
