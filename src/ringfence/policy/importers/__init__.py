"""Settings of other programs, read as they are: one file a program."""
