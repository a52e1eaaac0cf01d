"""An awk program does more than print.

`awk` is a programming language: `system()`, pipes, redirections, sockets, extensions. What is not surely
harmless is not harmless (GTFOBins: awk).
"""

NAME = "awk-program"
TITLE = "An awk program does more than print"
ADVICE = "Print with awk, and let the shell redirect or pipe."
EXAMPLE = "awk 'BEGIN { system(\"id\") }'"
HARMLESS = "awk -F: '$3 > 100 { print $1 }' f"
