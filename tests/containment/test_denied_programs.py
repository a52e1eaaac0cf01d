"""Deny rules for Bash, held when programs start: in a whole session, for root and for an ordinary user."""

import os

import pytest
from field import Field
from person import Person

pytestmark = pytest.mark.timeout(100)
WHO = ["root", "user"] if os.geteuid() == 0 else ["user"]
POLICY = '[commands]\ndeny = ["Bash(git push *)", "Bash(touch *)", "Read(./.env)"]\n'
RACE = """
import ctypes, os, threading
libc = ctypes.CDLL(None)
harmless, forbidden = b"/usr/bin/true\\0" + bytes(39), b"/usr/bin/touch\\0" + bytes(38)
path = ctypes.create_string_buffer(53)
argv = (ctypes.c_char_p * 3)(b"x", b"made", None)
def swap():
    while True:
        ctypes.memmove(path, harmless, 53); ctypes.memmove(path, forbidden, 53)
for _ in range(60):
    if not os.fork():
        threading.Thread(target=swap, daemon=True).start()
        for _ in range(30): libc.execve(path, argv, None)
        os._exit(9)
    os.wait()
"""


@pytest.fixture(params=WHO)
def field(request, ordinary_ids):
    """A home and a project with a policy, and a program that the policy denies."""
    person = Person(*((0, 0, "root") if request.param == "root" else ordinary_ids))
    one = Field(person)
    one.policy(POLICY)
    yield one
    one.close()
    person.close()


def refused(field):
    return [row["rule"] for row in field.events() if row["kind"] == "program"]


@pytest.mark.guarantee("P11")
def test_a_denied_program_does_not_start_and_that_is_told_and_recorded(field):
    done = field.sh("touch made; echo $?; git push x; echo $?; git --version; ls made")
    assert done.out.startswith("126\n126\ngit version"), done
    assert "programs were kept from running by deny rules" in done.err
    assert "git push x  (Bash(git push *))" in done.err
    assert set(refused(field)) == {"Bash(touch *)", "Bash(git push *)"}
    assert field.run("log", "--verify").code == 0


@pytest.mark.guarantee("P11")
def test_no_child_of_any_program_starts_it_under_any_name(field):
    field.put("race.py", RACE)
    line = (
        "t=/usr/bin/touch; ln -s $t a; ./a made; ln $t /tmp/b && /tmp/b made; cp $t c; ./c made;"
        "python3 -c \"import os; os.execv('c', ['touch', 'made'])\"; env -i $t made;"
        "find . -name race.py -exec touch made \\; ; (setsid touch made); python3 race.py; ls made"
    )
    done = field.sh(line)
    assert "cannot access 'made'" in done.err, done
    assert refused(field)


def test_the_operators_own_command_is_no_matter_of_rules(field):
    done = field.run("run", "--", "touch", "made")
    assert done.code == 0, done


def test_without_such_rules_nobody_stands_between(field):
    field.policy('[commands]\ndeny = ["Read(./.env)"]\n')
    done = field.run("run", "--", "grep", "Seccomp_filters", "/proc/self/status")
    assert done.out.split()[-1] == "1", done
    assert "P11" not in field.run("plan", "--", "true").out


def test_exit_statuses_signals_and_job_control_stay_as_they_are(field):
    line = "sh -c 'exit 7'; echo $?; sh -c 'kill -TERM $$'; echo $?; (sleep 0.2; exit 3) & wait $!; echo $?; timeout 0.2 sleep 5; echo $?"
    done = field.sh(line)
    assert done.out == "7\n143\n3\n124\n", done


def test_a_machine_that_cannot_hold_them_is_refused_unless_that_is_accepted(field):
    refusing = "seccomp=ENOSYS"
    done = field.run("run", "--", "true", refusing=refusing)
    assert done.code == 125, done
    assert "P11" in done.err
    field.policy('accept = ["no-program-rules"]\n' + POLICY)
    done = field.run("plan", "--", "true", refusing=refusing)
    assert "P11" in done.out, done
    assert field.run("run", "--", "true", refusing=refusing).code == 0
