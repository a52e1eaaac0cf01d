"""What a tier costs: one small program of work, run on the host and inside each tier."""
