"""A pattern may turn into an option.

A pattern becomes the names of files, and a file may be called `--compress-program=sh` or `-exec`. The
shell does not tell options from names.
"""

NAME = "glob-option"
TITLE = "A pattern may turn into an option"
ADVICE = "Write `./*` for `*`, or put the pattern behind `--`."
EXAMPLE = "sort *.txt"
HARMLESS = "sort ./*.txt"
