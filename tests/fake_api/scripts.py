"""The scripts that can be started by name."""

from .script import Conversation, Reply, Say, Script, Use, say, use

FIX_BUG_PROMPT = "The tests fail. Fix the bug, run the tests, commit."


def fix_bug() -> Script:
    """Mend `sums.py` of the sample project: read, test, edit, test, commit; then one more round on resume."""
    return Script(
        use("Read", "I shall look at the code first.", file_path="sums.py"),
        use("Bash", command="python3 -m unittest -q 2>&1 | tail -5", description="Run the tests"),
        use(
            "Edit",
            "The sign is wrong.",
            file_path="sums.py",
            old_string="return a - b",
            # Of another length: Python takes its cached bytecode for good while time and size are the same.
            new_string="return sum((a, b))",
        ),
        use("Bash", command="python3 -m unittest -q 2>&1 | tail -5", description="Run the tests again"),
        _commit_when_green,
        say("Fixed and committed: the tests pass."),
        use("Bash", "Going on where we stopped.", command="git log --oneline", description="Show the log"),
        _tell_log,
    )


def hello() -> Script:
    """Say one thing and stop: the shortest session there is."""
    return Script(say("Hello from the fake model."))


def story() -> Script:
    """Tell something in many deltas, to see streaming."""
    return Script(say("Once upon a time there was a key that never entered the wood. " * 3))


def _commit_when_green(conversation: Conversation) -> Reply:
    if not any("OK" in result for result in conversation.results):
        return [Say("The tests still fail; I stop here.")]
    return [Use("Bash", {"command": "git commit -qam 'Add instead of subtracting'", "description": "Commit"})]


def _tell_log(conversation: Conversation) -> Reply:
    return [Say("The log says: " + " / ".join(conversation.results))]


SCRIPTS = {"fix-bug": fix_bug, "hello": hello, "story": story}
