"""What this machine is and offers: the only rooms that ask it."""
