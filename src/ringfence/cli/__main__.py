"""`python -m ringfence.cli` is the `ringfence` command."""

from ringfence.cli import main

main()
