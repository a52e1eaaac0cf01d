"""Rules about commands, with facts made by hand: which texts they mean, and what a command needs to be allowed."""

import pytest

from paper import Files
from ringfence.policy import toolrules
from ringfence.shell.facts import Access, Analysis, Command, Finding, Value
from ringfence.shell.syntax import Problem, Reading, Script
from ringfence.value import replace
from ringfence.verdict import bash
from ringfence.verdict.command import Pattern
from ringfence.verdict.paths import Sight
from ringfence.verdict.tool import Rulebook

CWD = "/w"


def command(text, **given):
    """Make a command of words between single blanks, where they stand."""
    words, at = [], 0
    for word in text.split(" "):
        words.append(Value(text=word, span=(at, at + len(word))))
        at += len(word) + 1
    return Command(words=tuple(words), source=text, span=(0, len(text)), folder=CWD, **given)


def ruled(*commands, allow=(), ask=(), deny=(), findings=(), problems=(), seen=(), readonly=False, text=None):
    """Decide on commands as if they had been read from a text."""
    text = "; ".join(one.source for one in commands) if text is None else text
    reading = Reading(text=text, shell="bash", script=Script(span=(0, 0)), problems=tuple(problems))
    if seen:
        reading = replace(reading, seen=tuple(seen)) if "seen" in Reading.__fields__ else reading
    analysis = Analysis(reading=reading, commands=commands, findings=tuple(findings))
    book = Rulebook(toolrules.read(allow, ask, deny).rules, readonly=readonly)
    made = bash.Book(book.commands("Bash"), book.paths(CWD), readonly=readonly)
    return bash.decide(analysis, made, Sight(Files({"/w/.env": None, "/w/a": None}), CWD, "/h"))


def verdict(*commands, **given):
    return ruled(*commands, **given).effect


def pattern(text, effect="allow"):
    return Pattern(toolrules.one(effect, text), 0)


@pytest.mark.parametrize(
    ("rule", "text", "meant"),
    [
        ("Bash(ls *)", "ls", True),
        ("Bash(ls *)", "ls -la", True),
        ("Bash(ls *)", "lsof", False),
        ("Bash(ls*)", "lsof", True),
        ("Bash(ls:*)", "ls -la", True),
        ("Bash(ls:*)", "lsof", False),
        ("Bash(mkdir aa*)", "mkdir aab", True),
        ("Bash(mkdir aa *)", "mkdir aab", False),
        ("Bash(mkdir aa *)", "mkdir aa", True),
        ("Bash(mkdir aa)", "mkdir aa bb", False),
        ("Bash(* --version)", "rm --version", True),
        ("Bash(* install)", "npm reinstall", False),
        ("Bash(git * main)", "git push origin main", True),
        ("Bash(git * main)", "git main", False),
        ("Bash(git * main *)", "git push main", False),  # claude-code#36873
        ("Bash(git:* push)", "git push", False),
        ("Bash(git:* push)", "git:x push", True),
        ("Bash", "anything at all", True),
        ("Bash(a\\*b)", "a*b", True),
        ("Bash(a\\*b)", "axb", False),
        ("Bash(a**b)", "axxb", True),
        ("Bash(npm  run *)", "npm run x", True),
        ("Bash(a.b)", "axb", False),
        ("Bash(toString)", "toString", True),
        ("Bash(constructor)", "__proto__", False),
        ("Bash(x*y*z)", "xyz", True),
        ("Bash(xy*yz)", "xyz", False),
    ],
)
def test_which_texts_a_pattern_means(rule, text, meant):
    assert pattern(rule).matches(text, widely=False) == meant


def test_a_denial_reads_its_last_wildcard_widely():
    assert pattern("Bash(git * main *)", "deny").matches("git push main", widely=True)


def test_a_thousand_stars_cost_little():
    made = pattern("Bash(" + "a*" * 1000 + "b)")
    assert not made.matches("a" * 9000, widely=True)


DENIED = [
    command("curl"), command("curl x"), command("/usr/bin/curl x"), command("./curl x"),
    command("sudo curl x", runs=(command("curl x"),), runner=True),
    command("timeout 5 curl x", runs=(command("curl x"),), transparent=True),
    command("a b", runs=(command("c d", runs=(command("curl x"),)),)),
    command("curl x", assignments=(("FOO", Value(text="1")),)),
    replace(command("git x"), canonical=command("curl x").words),
    Command(words=(Value(text="c?rl", certainty="pattern"), Value(text="x")), source="c?rl x", span=(0, 6)),
    Command(words=(Value(text="/b*/cu*", certainty="pattern"),), source="/b*/cu*", span=(0, 7)),
]  # fmt: skip


@pytest.mark.parametrize("denied", DENIED, ids=lambda one: one.source)
def test_a_denial_beats_everything_wherever_the_command_stands(denied):
    for rule in ("Bash(curl *)", "Bash(curl:*)"):
        given = ruled(command("ls"), denied, allow=["Bash"], ask=["Bash"], deny=[rule])
        assert (given.effect, given.rule.text) == ("deny", rule)


def test_a_question_floors_the_whole_at_ask():
    given = ruled(command("git push x"), command("ls"), allow=["Bash"], ask=["Bash(git push *)"])
    assert (given.effect, given.rule.text) == ("ask", "Bash(git push *)")


def test_every_command_needs_a_rule_of_its_own():
    assert verdict(command("ls"), command("pwd"), allow=["Bash(ls)"]) == "ask"
    given = ruled(command("ls"), command("pwd"), allow=["Bash(ls)", "Bash(pwd)"])
    assert (given.effect, given.rule.text) == ("allow", "Bash(ls)")
    assert verdict() == "ask"
    assert verdict(allow=["Bash"]) == "ask"


def test_what_was_refused_is_named_with_the_smallest_rule():
    given = ruled(command("ls"), command("rm -r a*b"), allow=["Bash(ls)"])
    assert given.unmatched == ("rm -r a*b",)
    assert given.suggestion == ("Bash(rm -r a\\*b)",)
    assert verdict(command("ls"), command("rm -r a*b"), allow=["Bash(ls)", *given.suggestion]) == "allow"


def test_a_wrapper_of_the_fixed_list_is_stripped_and_a_runner_is_not():
    inner = command("npm run x")
    wrapped = command("timeout 5 npm run x", runs=(inner,), transparent=True)
    runner = command("watch npm run x", runs=(inner,), runner=True)
    assert verdict(wrapped, allow=["Bash(npm run *)"]) == "allow"
    assert verdict(wrapped, allow=["Bash(timeout *)"]) == "ask"
    for rules in (["Bash(npm run *)"], ["Bash(watch *)"], ["Bash(watch npm *)", "Bash(npm run *)"]):
        assert verdict(runner, allow=rules) == "ask"
    assert verdict(runner, allow=["Bash(watch npm run x)"]) == "allow"


def test_a_runner_that_is_spelled_far_enough_may_be_allowed_by_a_wildcard():
    runner = command("npx tsc -p .", runs=(command("tsc -p ."),), runner=True, literal=2)
    assert verdict(runner, allow=["Bash(npx tsc *)"]) == "allow"
    assert verdict(runner, allow=["Bash(npx *)"]) == "ask"
    assert verdict(runner, allow=["Bash(npx t*)"]) == "ask"


@pytest.mark.parametrize(
    ("name", "effect"), [("NODE_ENV", "allow"), ("PATH", "ask"), ("FOO", "ask"), ("LD_PRELOAD", "ask")]
)
def test_only_harmless_assignments_are_stripped_to_allow(name, effect):
    given = command("npm run x", assignments=((name, Value(text="1")),))
    for rules in (["Bash(npm run *)"], ["Bash(npm run x)"]):
        assert verdict(given, allow=rules, text=f"{name}=1 npm run x") == effect


def test_an_uncertain_word_is_not_allowed_unless_it_is_data():
    word = Value(text="$x", certainty="unknown")
    for program, effect in (("git", "ask"), ("cat", "ask"), ("echo", "allow")):
        given = Command(words=(Value(text=program), word), source=f"{program} $x", span=(0, 6))
        assert verdict(given, allow=[f"Bash({program} *)"]) == effect


def test_a_pattern_that_may_become_an_option_is_not_allowed_but_to_readers():
    for program, text, effect in (("git", "*", "ask"), ("git", "src/*.py", "allow"), ("ls", "*", "allow")):
        word = Value(text=text, certainty="pattern")
        given = Command(words=(Value(text=program), word), source=f"{program} {text}", span=(0, 6))
        assert verdict(given, allow=[f"Bash({program} *)"]) == effect


def test_quotes_that_change_nothing_do_not_matter_and_others_do():
    given = Command(words=(Value(text="npm"), Value(text="run x")), source="npm 'run x'", span=(0, 11))
    assert verdict(given, allow=["Bash(npm run *)"]) == "ask"
    assert verdict(given, allow=["Bash(npm run x)"]) == "ask"
    assert verdict(given, allow=["Bash(npm 'run x')"]) == "allow"
    assert verdict(given, allow=["Bash(npm *)"], deny=["Bash(npm run *)"]) == "deny"


def test_findings_and_problems_ask_but_an_exact_rule_answers_those_that_say_so():
    find = Finding(risk="x", span=(0, 2), reason="risky", exact=True)
    for rules in (["Bash(ls *)"], ["Bash"]):
        assert verdict(command("ls"), allow=rules, findings=[find]) == "ask"
    assert verdict(command("ls"), allow=["Bash(ls)"], findings=[find]) == "allow"
    assert verdict(command("ls"), allow=["Bash(ls)"], findings=[replace(find, exact=False)]) == "ask"
    problem = Problem(span=(0, 1), reason="unclear", risk="dialect")
    assert verdict(command("ls"), allow=["Bash(ls)", "Bash"], problems=[problem]) == "ask"
    assert verdict(command("curl x"), allow=["Bash"], deny=["Bash(curl *)"], problems=[problem]) == "deny"


def test_a_text_that_was_not_read_to_its_end_is_searched_for_denied_programs():
    problem = Problem(span=(0, 1), reason="too large", risk="size")
    assert verdict(text="true; " * 9000 + "curl x", deny=["Bash(curl *)"], problems=[problem]) == "deny"
    assert verdict(text="true; " * 9000 + "curly x", deny=["Bash(curl *)"], problems=[problem]) == "ask"


def file(text, kind="read", origin="operand", **given):
    return Access(kind=kind, path=Value(text=text, **given), folder=CWD, origin=origin)


@pytest.mark.parametrize(
    ("access", "rules", "effect"),
    [
        (file("a"), ["Bash(x *)"], "allow"),
        (file("/etc/passwd"), ["Bash(x *)"], "ask"),
        (file("/etc/passwd"), ["Bash(x *)", "Read(//etc/passwd)"], "allow"),
        (file("/etc/passwd"), ["Bash"], "allow"),
        (file("/h/.ssh/id_rsa"), ["Bash", "Read"], "ask"),
        (file("new", "write"), ["Bash(x *)"], "allow"),
        (file("/tmp/new", "write"), ["Bash(x *)"], "ask"),
        (file("/tmp/new", "write"), ["Bash(x *)", "Edit(//tmp/**)"], "allow"),
        (file("new", "write", "redirection"), ["Bash(x *)"], "ask"),
        (file("new", "write", "redirection"), ["Bash(x *)", "Edit(new)"], "allow"),
        (file("new", "write", "redirection"), ["Bash"], "allow"),
        (file("/dev/null", "write", "redirection"), ["Bash(x *)"], "allow"),
        (file(".bashrc", "write", "redirection"), ["Bash", "Edit"], "ask"),
        (file(".git/config", "write"), ["Bash", "Edit"], "ask"),
        (file("$x", certainty="unknown"), ["Bash"], "ask"),
        (file("$x", "write", "redirection", certainty="unknown"), ["Bash", "Edit"], "ask"),
    ],
)
def test_what_a_command_touches_needs_its_rule_too(access, rules, effect):
    assert verdict(command("x y", accesses=(access,)), allow=rules) == effect


def test_a_redirection_alone_is_not_nothing():
    given = Command(words=(), source="> new", span=(0, 5), accesses=(file("new", "write", "redirection"),))
    assert verdict(given) == "ask"
    assert verdict(given, allow=["Edit(new)"]) == "allow"
    assert verdict(given, allow=["Edit(new)"], deny=["Edit(new)"]) == "deny"


def test_the_read_only_set_reads_the_workspace_unasked_where_the_policy_says_so():
    cat, far = command("cat a", accesses=(file("a"),)), command("cat /etc/x", accesses=(file("/etc/x"),))
    assert verdict(cat) == "ask"
    assert verdict(cat, readonly=True) == "allow"
    assert verdict(far, readonly=True) == "ask"
    assert verdict(cat, readonly=True, deny=["Bash(cat *)"]) == "deny"
    assert verdict(cat, readonly=True, ask=["Read(a)"]) == "ask"
    assert verdict(command("sed -i x", accesses=(file("x", "write"),)), readonly=True) == "ask"
    assert verdict(command("git push"), readonly=True) == "ask"
    assert verdict(command("git log"), readonly=True) == "allow"
    assert verdict(command("git branch x"), readonly=True) == "ask"
    assert verdict(command("curl x"), readonly=True) == "ask"


def test_moving_within_the_workspace_needs_no_rule():
    for folder, effect in (("sub", "allow"), ("..", "ask"), ("/tmp", "ask"), ("-", "ask")):
        assert verdict(command(f"cd {folder}"), command("ls"), allow=["Bash(ls)"]) == effect
