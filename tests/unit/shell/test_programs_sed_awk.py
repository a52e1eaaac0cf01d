"""Scripts of sed and programs of awk: what they do besides editing and printing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looking import files, look_at, reads, risks, runs, writes

from ringfence.shell.programs import awkscript, sedscript

SED_CLEAN = [
    "p", "10,20p", "$p", "1~2p", "/a/,/b/d", "/a/,+3d", "2!d", "s/a/b/", "s/a/b/g;s/c/d/2gI", "s|a|b|", "s,/w x,/e y,",
    "s/w/e/", "s/a\\/w x/b/", "y/abc/xyz/", "/x/{s/a/b/;p}", "$!N;P;D", ":a;N;$!ba;s/\\n/ /g", "/^#/d", "a hello w x",
    "i\\\nw x", "c\\text e", "1q", "5q1", "l 20", "=", "# w x", "s/[/]/w/", "s/[^/]*$//", "s/[[:space:]/]*$//",
    "\\,a,p", "\\xaxp", "/a/I,/b/Mp", "n;d", "1!G;h;$!d", "s/a/b/w /dev/stdout", "w /dev/stderr", "v 4.2", "z", "F", "{p;p}",
    "s/a/x\\\ny/", "/a/ s/b/c/", "0,/a/d", "s/\\[w\\]/e/", "s/a/[w/", "{;p;}", "", "s/'/\"/g",
]  # fmt: skip
SED_RISKY = [
    "e", "e touch x", "1e touch x", "$!e id", "/a/e id", "s/a/b/e", "s/a/b/ge", "s/a/b/2e", "s/a/b/ep", "s|a|b|e", "s/a/b/\ne id",
    "w x", "W x", "1w x", "/a/w x", "s/a/b/w x", "s/a/b/gw x", "s/a/b/wx", "p;w x", "{p;w x\n}", "p\nw x", "$!{w x", "n;e", "/a/!w x",
    "/a/,/b/w x", "\\,a,w x", "1~2w x", "0,/a/e", "a text\nw x", "i\\\ntext\ne id", "# comment\ne id", "y/a/b/;e", ":a;e id",
    "ba;e id", "s/[/]/w x]/b/w y", "s/[/w x", "q;e id", "1,2{e id\n}", "   e id", ";;;e id", "s/a/b/ ;e", "s/a\\/b/c/e", "}w x",
    "s/\\n/w x", "s/a/b/k", "s/a/b", "s", "y/a", "k", "/a", "1,p;K", "s\na\nb\ne",
]  # fmt: skip


@pytest.mark.parametrize("script", SED_CLEAN)
def test_scripts_that_only_edit_are_clean(script):
    read = sedscript.read(script, brackets=True)
    assert (read.unread, read.runs, [one for one in read.writes if not one.startswith("/dev/")]) == (
        "",
        [],
        [],
    )


@pytest.mark.parametrize("script", SED_RISKY)
def test_scripts_that_do_more_are_found(script):
    read = sedscript.read(script, brackets=True)
    assert read.unread or read.runs or read.writes


@pytest.mark.parametrize(
    "option", ["-e", "--expression=", "--expr=", "--e=", "-ne", "-n -e", "-nE -e", "-s --expression "]
)
def test_a_script_is_found_behind_every_spelling_of_its_option(option):
    glue = "" if option.endswith("=") else " "
    assert "sed-script" in risks(f"sed {option}{glue}'1e id' a")


@pytest.mark.parametrize(
    "line",
    [
        "sed -n p .env",
        "sed 's/a/b/' .env",
        "sed -e p .env",
        "sed --quiet -- p .env",
        "sed -n -f /dev/null .env",
    ],
)
def test_operands_of_sed_are_read(line):
    assert ".env" in reads(line)


def test_a_script_that_reads_names_the_file():
    assert reads("sed 'r .env' a") == [".env", "a"]
    assert reads("sed '$R .env' a") == [".env", "a"]
    assert risks("sed 'r b' a") == []


def test_in_place_editing_is_an_edit():
    assert [one.origin for one in look_at("sed -i s/a/b/ f").accesses if one.kind == "write"] == ["in-place"]
    assert writes("sed -i.bak s/a/b/ f") == ["f"]
    assert writes("sed -ni p f") == ["f"]
    assert writes("sed --in-pl p f") == ["f"]
    assert writes("sed -n p f") == []
    assert "option-writes" in risks("sed -i/tmp/x/* s/a/b/ f")


def test_scripts_that_cannot_be_seen_are_found():
    assert "sed-script" in risks("sed -f x a")
    assert "sed-script" in risks("sed --file=x a")
    assert "uncertain-argument" in risks("sed «x» a")
    assert "uncertain-argument" in risks("sed -e «x» a")
    assert "unknown-option" in risks("sed --frob p a")
    assert "glob-option" in risks("sed p ⟪*⟫")


def test_commands_of_a_script_are_commands():
    assert runs("sed '1e curl x' a") == ["curl x"]


AWK_CLEAN = [
    "{print}", "{print $1}", "{print $1, $NF}", "NR==1", "/a|b/", "/a|b/ {print}", "$3 > 100", "$3 > 100 {print $1}", "{s+=$1} END {print s}",
    "{ if ($1 > 3) print $2 }", '{ printf "%s\\n", ($1 > 3) }', "BEGIN {FS=\":\"} {print $1}", '{print "a > b"}', '{print "a | b"}',
    "/system/", '{gsub(/a/, "b"); print}', "!seen[$0]++", "{a[$1]++} END {for (k in a) print k, a[k]}", "NR>=2 && NR<=5", "length > 80",
    '{print > "/dev/stderr"}', "# system(1)\n{print}", '$1 == "x" || $2 == "y"', "function f(x) {return x*2} {print f($1)}", "{print $1/2}",
    "{$1=\"\"; print $0}", "END{print NR}", "/^#/{next}1", '{print toupper(substr($0,1,1))}', "{print -$1 % 2}", 'BEGIN{x="system(1)"}',
    "{print length($0)}", "$2 ~ /x/ {print $1}", '{ split($0, a, "/"); print a[2] }', "NF > 3 ? 1 : 0", "{print (1 > 2) ? 3 : 4}",
]  # fmt: skip
AWK_RISKY = [
    'BEGIN{system("id")}', "BEGIN{system (x)}", 'BEGIN{"id"|getline}', 'BEGIN{"id"|getline x; print x}', 'BEGIN{print "x"|"id"}',
    '{print | "sh"}', '{print |& "sh"}', '{print > "x"}', '{print > $1}', '{print >> "x"}', '{printf "%s" > "x"}', '{print $1 > 5}',
    '{print($1) > "x"}', '{print ($1)($2) > "x"}', 'BEGIN{while ((getline l < f) > 0) print l}', '@load "x"', '@include "x"', 'BEGIN{f="system"; @f("id")}',
    'BEGIN{s="/inet/tcp/0/h/80"; print "x" |& s}', 'BEGIN{print ENVIRON["HOME"]}', "BEGIN{for(k in ENVIRON)print k}", 'BEGIN{ARGV[1]=".env"; ARGC=2}',
    "BEGIN{ARGC++}", '{print 1 /2/ system("id")}', 'BEGIN{x = 1 / 2 | "id" / 2}', 'BEGIN{print "a" "b" | "i" "d"}', 'BEGIN{getline < "x" "y"}',
    "BEGIN{PROCINFO[\"sorted_in\"]}", '{ if (x) print > "y" }', '{ for (;;) { print | "id" } }', 'BEGIN { printf("%s", 1) > "x" }', "`", "BEGIN{print 'x'}",
    'BEGIN{system("a\\"b")}', 'BEGIN {"date" | getline d; close("date")}', 'BEGIN{print "x" > "/dev/tcp/a/1"}',
]  # fmt: skip


@pytest.mark.parametrize("program", AWK_CLEAN)
def test_programs_that_only_print_are_clean(program):
    assert awkscript.read(program).reasons == []


@pytest.mark.parametrize("program", AWK_RISKY)
def test_programs_that_do_more_are_found(program):
    assert awkscript.read(program).reasons


@pytest.mark.parametrize(
    ("line", "risk"),
    [
        ("awk -f x", "awk-program"),
        ("gawk --file=x", "awk-program"),
        ("awk -i inplace {print} f", "awk-program"),
        ("gawk -l x {print}", "awk-program"),
        ("gawk -E x", "awk-program"),
        ("gawk -e 'BEGIN{system(1)}'", "awk-program"),
        ("gawk --source 'BEGIN{system(1)}'", "awk-program"),
        ("gawk -o/tmp/x {print}", "option-writes"),
        ("gawk -p {print}", "option-writes"),
        ("gawk --dump-variables=x {print}", "option-writes"),
        ("mawk -W exec=x", "awk-program"),
        ("awk «x»", "uncertain-argument"),
        ("awk -v «x*» 1", "uncertain-argument"),
    ],
)
def test_options_of_awk(line, risk):
    assert risk in risks(line)


def test_files_of_awk():
    assert reads("awk -F: '{print $1}' a x=1 .env") == ["a", ".env"]
    assert reads("awk 'BEGIN { while ((getline l < \".env\") > 0) print l }'") == [".env"]
    assert risks("awk -v x=«x» '{print x}' f") == []
    assert files("awk '{print > \"x\"}' f", "write") == ["x"]
    assert runs("awk 'BEGIN{system(\"curl x\")}'") == ["curl x"]
    assert runs("awk 'BEGIN{\"curl x\" | getline}'") == ["curl x"]


@given(st.text(alphabet="swe/\\[]{};,$!~0g \nabp#i|'\"@>()=x", max_size=40))
@settings(max_examples=1000, deadline=None)
def test_nothing_raises_on_any_script(text):
    sedscript.read(text)
    sedscript.read(text, brackets=True)
    awkscript.read(text)
