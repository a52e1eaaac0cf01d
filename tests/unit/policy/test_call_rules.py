"""`[commands]` and `[tools]`: what each layer may say about tool calls, and what it comes to."""

import pytest

from ringfence.errors import PolicyError
from ringfence.policy import explain


def texts(rules):
    return [rule.text for rule in rules]


@pytest.mark.guarantee("T1")
def test_a_project_that_nobody_trusts_allows_nothing(machine):
    machine.project(
        '[commands]\nallow = ["Bash"]\nask = ["Bash(git push *)"]\ndeny = ["Bash(curl *)"]\nreadonly = true\n'
        'settings = "claude"\nprompt = "approve"\n[tools]\nallow = ["WebFetch"]\n'
    )
    policy = machine.policy()
    assert (policy.commands.allow, policy.tools.allow) == ((), ())
    assert texts(policy.commands.deny) == ["Bash(curl *)"]
    assert (policy.commands.settings, policy.commands.prompt) == ("", "client")
    assert "ignored commands.allow Bash, tools.allow WebFetch, commands.settings, commands.prompt" in str(
        policy.notes
    )


def test_its_questions_are_marked_so_that_they_never_stand_in_for_a_denial(machine):
    path = machine.project('[commands]\nask = ["Bash(git push *)"]\n')
    assert [rule.narrow for rule in machine.policy().commands.ask] == [True]
    machine.trust(path)
    assert [rule.narrow for rule in machine.policy().commands.ask] == [False]


def test_a_project_that_nobody_trusts_may_be_stricter(machine):
    machine.project('[commands]\nreadonly = false\ndefault = "deny"\n')
    commands = machine.policy().commands
    assert (commands.readonly, commands.default) == (False, "deny")


def test_and_not_laxer(machine):
    machine.user('[commands]\nreadonly = false\ndefault = "deny"\n')
    machine.project('[commands]\nreadonly = true\ndefault = "ask"\n')
    policy = machine.policy()
    assert (policy.commands.readonly, policy.commands.default) == (False, "deny")
    assert "ignored commands.readonly true, commands.default ask" in str(policy.notes)


@pytest.mark.guarantee("T2")
def test_what_the_managed_policy_says_of_tool_calls_stays(machine):
    machine.managed(
        '[commands]\ndeny = ["Bash(curl *)"]\nask = ["Bash(git push *)"]\nreadonly = false\ndefault = "deny"\n'
        'settings = ""\nprompt = "approve"\n'
    )
    machine.user(
        '[commands]\nallow = ["Bash(curl *)"]\nreadonly = true\ndefault = "ask"\nsettings = "claude"\nprompt = "client"\n'
    )
    commands = machine.policy().commands
    assert texts(commands.deny) == ["Bash(curl *)"]
    assert [(rule.text, rule.narrow) for rule in commands.ask] == [("Bash(git push *)", False)]
    assert (commands.readonly, commands.default, commands.settings, commands.prompt) == (
        False,
        "deny",
        "",
        "approve",
    )


@pytest.mark.guarantee("T2")
def test_a_locked_section_leaves_only_the_managed_rules_to_allow(machine):
    machine.managed('[commands]\nallow = ["Bash(make *)"]\n[managed]\nlock = ["commands", "tools"]\n')
    machine.user('[commands]\nallow = ["Bash"]\ndeny = ["Bash(rm *)"]\n[tools]\nallow = ["WebFetch"]\n')
    policy = machine.policy()
    assert texts(policy.commands.allow) == ["Bash(make *)"]
    assert texts(policy.commands.deny) == ["Bash(rm *)"]
    assert policy.tools.allow == ()


def test_each_rule_knows_its_layer_and_the_folder_of_its_file(machine):
    machine.user('[commands]\nallow = ["Read(/notes/**)"]\n')
    machine.project('[commands]\ndeny = ["Read(/notes/**)"]\n')
    commands = machine.policy().commands
    assert (commands.allow[0].origin, commands.allow[0].base) == ("user policy", str(machine.root / "config"))
    assert (commands.deny[0].origin, commands.deny[0].base) == ("project policy", str(machine.workspace))


@pytest.mark.parametrize("effect", ["allow", "ask", "deny"])
@pytest.mark.parametrize("rule", ["npm run *", "Bash(curl", "(x)", "Bash()"])
def test_a_rule_that_cannot_be_read_stops_loading(machine, effect, rule):
    machine.user(f'[commands]\n{effect} = ["{rule}"]\n')
    with pytest.raises(PolicyError) as error:
        machine.policy()
    assert error.value.diagnostics[0].span.line == 2


def test_the_policy_is_told_with_them(machine):
    machine.user(
        '[commands]\nallow = ["Bash(npm run *)"]\ndefault = "deny"\nreadonly = false\nprompt = "approve"\n'
        'settings = "claude"\n[tools]\ndeny = ["WebFetch"]\n'
    )
    told = "\n".join(explain.lines(machine.policy()))
    assert told.endswith(
        "tool calls: (deny beats ask beats allow; what no rule names is denied)\n"
        "  deny  WebFetch  [user policy]\n"
        "  allow Bash(npm run *)  [user policy]\n"
        "  commands that only look need a rule like any other\n"
        "  rules in Claude Code's settings files count as well\n"
        "  questions wait 120 s for `ringfence approve`"
    )
