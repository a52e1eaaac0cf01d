"""Static analysis of shell commands: what a text would run, read, write and reach. Knows no policy."""
