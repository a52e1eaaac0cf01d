"""Which deny rules can be held when programs start, and what falls under them."""

import pytest

from ringfence.verdict.execution import ProgramRules, Started, enforceable

RULES = enforceable(
    [
        "Bash(curl *)",
        "Bash(git push *)",
        "Bash(npm publish)",
        "Bash(/opt/x/tool *)",
        "Bash(rm:*)",
        "Bash(py*)",
    ]
)


def refused(rules, start):
    return ProgramRules(rules).refused(start)


def started(*words, names=()):
    first = words[0]
    return Started(names=(first, first.rpartition("/")[2], *names), arguments=words[1:])


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("curl",), "Bash(curl *)"),
        (("/usr/bin/curl", "-s", "x"), "Bash(curl *)"),
        (("./curl",), "Bash(curl *)"),
        (("git", "push", "origin"), "Bash(git push *)"),
        (("/usr/lib/git-core/git-push", "origin"), "Bash(git push *)"),
        (("git", "-C", ".", "push", "origin"), "Bash(git push *)"),
        (("git", "-c", "color.ui=never", "--no-pager", "push"), "Bash(git push *)"),
        (("/usr/bin/git", "--git-dir=.git", "push", "-f"), "Bash(git push *)"),
        (("npm", "publish"), "Bash(npm publish)"),
        (("npm", "--silent", "publish"), "Bash(npm publish)"),
        (("/opt/x/tool", "a"), "Bash(/opt/x/tool *)"),
        (("rm", "-rf", "x"), "Bash(rm:*)"),
        (("python3", "x.py"), "Bash(py*)"),
        (("/lib64/ld-linux-x86-64.so.2", "--library-path", "/lib", "/usr/bin/curl", "x"), "Bash(curl *)"),
    ],
)
def test_what_a_rule_names_is_refused(words, rule):
    assert refused(RULES, started(*words)) == rule


@pytest.mark.parametrize(
    "words",
    [
        ("curlew",), ("git", "pull"), ("git", "-C", ".", "pull"), ("git", "-C", "push", "pull"), ("git", "pushy"), ("npm", "publish", "--dry-run"), ("echo", "curl", "x"),
        ("/elsewhere/tool", "a"), ("rmdir", "x"), ("ls", "/usr/bin/curl"),
    ],
)  # fmt: skip
def test_what_no_rule_names_starts(words):
    assert refused(RULES, started(*words)) == ""


def test_every_name_of_a_program_counts():
    assert refused(RULES, started("/tmp/x", "a", names=("curl",))) == "Bash(curl *)"


def test_rules_about_the_tool_and_other_tools_are_no_rules_about_programs():
    assert enforceable(["Bash", "Bash(*)", "Bash()", "Bash(* --force)", "Read(./.env)", "WebFetch"]) == ()


def test_a_pattern_with_stars_within_compares_piece_by_piece():
    rules = enforceable(["Bash(git * main)", "Bash(docker * -v *:/host)"])
    assert refused(rules, started("git", "push", "origin", "main"))
    assert not refused(rules, started("git", "main"))
    assert refused(rules, started("docker", "run", "-v", "/:/host"))
    assert not refused(rules, started("docker", "run", "-v", "/:/hosted"))
