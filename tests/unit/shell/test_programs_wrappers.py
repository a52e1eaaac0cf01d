"""Programs that start others: what is transparent, what is a runner, and what they start."""

import pytest
from looking import look_at, reads, risks, runs, writes

TRANSPARENT = [
    ("timeout 5 curl x", "curl x"), ("timeout -k 5 -s KILL 30s curl x", "curl x"), ("timeout --foreground --signal=TERM 5 curl x", "curl x"),
    ("nice curl x", "curl x"), ("nice -n 5 curl x", "curl x"), ("nice -n5 curl x", "curl x"), ("nice -5 curl x", "curl x"), ("nice --adj=5 curl x", "curl x"),
    ("nohup curl x", "curl x"), ("stdbuf -oL curl x", "curl x"), ("stdbuf --output=0 -i 0 curl x", "curl x"), ("time curl x", "curl x"),
    ("time -p curl x", "curl x"), ("command curl x", "curl x"), ("command -p curl x", "curl x"), ("builtin echo x", "echo x"),
    ("noglob curl x", "curl x"), ("nohup -- curl x", "curl x"), ("timeout 5 curl -o x", "curl -o x"),
]  # fmt: skip
RUNNERS = [
    ("env curl x", "curl x"), ("env -i A=b curl x", "curl x"), ("env -u X -C /tmp curl x", "curl x"), ("env -uX curl x", "curl x"), ("env --unset=X curl x", "curl x"),
    ("env - curl x", "curl x"), ("env -S 'curl x'", "curl x"), ("env -iS 'curl x'", "curl x"), ("env --split-string='curl x' y", "curl x y"), ("env -vS 'A=b curl' x", "curl x"),
    ("xargs -n1 curl", "curl"), ("xargs -I{} curl {}", "curl {}"), ("xargs -I X curl X", "curl X"), ("xargs -i curl {}", "curl {}"), ("xargs -0 -P4 curl", "curl"),
    ("xargs -t touch echo", "touch echo"), ("xargs -d , -L 1 curl", "curl"), ("xargs --max-args=1 curl", "curl"), ("xargs -ecurl touch x", "touch x"),
    ("sudo curl x", "curl x"), ("sudo -u root -E A=b curl x", "curl x"), ("sudo -- curl x", "curl x"), ("sudo -nu root curl x", "curl x"), ("doas -u x curl y", "curl y"),
    ("watch curl x", "curl x"), ("watch -n 1 -d curl x", "curl x"), ("watch 'curl x'", "curl x"), ("setsid curl x", "curl x"), ("setsid -f curl x", "curl x"),
    ("ionice -c3 curl x", "curl x"), ("ionice -c 2 -n 0 curl x", "curl x"), ("flock /tmp/l curl x", "curl x"), ("flock /tmp/l -c 'curl x'", "curl x"), ("flock -c 'curl x' /tmp/l", "curl x"),
    ("chrt 5 curl x", "curl x"), ("chrt -f 5 curl x", "curl x"), ("taskset 1 curl x", "curl x"), ("taskset -c 1 curl x", "curl x"), ("unshare -r curl x", "curl x"),
    ("unshare --map-root-user --mount curl x", "curl x"), ("nsenter -t 1 -m curl x", "curl x"), ("chroot / curl x", "curl x"), ("chroot --userspec=x / curl y", "curl y"),
    ("strace curl x", "curl x"), ("strace -o x -f curl y", "curl y"), ("ltrace curl x", "curl x"), ("script -c 'curl x' y", "curl x"), ("script -qc 'curl x' /dev/null", "curl x"),
    ("busybox curl x", "curl x"), ("busybox sh -c 'curl x'", "sh -c curl x"), ("toybox curl x", "curl x"), ("parallel curl ::: a", "curl"), ("entr curl x", "curl x"),
    ("systemd-run curl x", "curl x"), ("systemd-run --user -p A=b curl x", "curl x"), ("dbus-run-session curl x", "curl x"), ("dbus-run-session -- curl x", "curl x"),
    ("xvfb-run -a curl x", "curl x"), ("xvfb-run -s '-screen 0' curl x", "curl x"), ("setarch x86_64 curl x", "curl x"), ("linux32 curl x", "curl x"),
    ("su -c 'curl x' root", "curl x"), ("su root -c 'curl x'", "curl x"), ("runuser -u x curl y", "curl y"), ("runuser -u x -- curl y", "curl y"), ("pkexec curl x", "curl x"),
    ("fakeroot curl x", "curl x"), ("torsocks curl x", "curl x"), ("proxychains4 -q curl x", "curl x"), ("tmux new 'curl x'", "curl x"), ("screen -dm curl x", "curl x"),
    ("npx curl x", "curl x"), ("npx -y curl x", "curl x"), ("npx -p a -p b curl x", "curl x"), ("npx --package=a curl x", "curl x"), ("npx -c 'curl x'", "curl x"), ("npx --call='curl x'", "curl x"),
    ("npm exec curl x", "curl x"), ("npm exec -- curl x", "curl x"), ("npm x -c 'curl x'", "curl x"), ("bunx curl x", "curl x"), ("uvx curl x", "curl x"), ("uvx --from a curl x", "curl x"),
    ("pipx run curl x", "curl x"), ("pnpm dlx curl x", "curl x"), ("pnpm exec curl x", "curl x"), ("yarn dlx curl x", "curl x"), ("yarn exec curl x", "curl x"), ("uv run curl x", "curl x"),
    ("uv tool run curl x", "curl x"), ("uv run --with a curl x", "curl x"), ("poetry run curl x", "curl x"), ("pipenv run curl x", "curl x"), ("bundle exec curl x", "curl x"),
    ("conda run -n a curl x", "curl x"), ("mise exec -- curl x", "curl x"), ("mise x node@20 -- curl x", "curl x"), ("direnv exec . curl x", "curl x"), ("devbox run curl x", "curl x"),
    ("nix run x -- curl y", "curl y"), ("nix-shell -p a --run 'curl x'", "curl x"), ("nix shell a -c curl x", "curl"), ("docker exec a curl x", "curl x"), ("docker exec -it a curl x", "curl x"),
    ("docker run a curl x", "curl x"), ("docker run --rm -e A=b a curl x", "curl x"), ("podman run a curl x", "curl x"), ("docker compose exec a curl x", "curl x"), ("docker compose run a curl x", "curl x"),
    ("docker run --entrypoint curl a x", "curl x"), ("kubectl exec a -- curl x", "curl x"), ("kubectl exec a curl x", "curl x"), ("ssh h curl x", "curl x"), ("ssh -p 22 u@h 'curl x'", "curl x"),
    ("exec curl x", "curl x"), ("exec -a y curl x", "curl x"), ("rustup run nightly curl x", "curl x"), ("pyenv exec curl x", "curl x"), ("start-stop-daemon --start --exec curl -- x", "curl x"),
    ("ld-linux-x86-64.so.2 curl x", "curl x"), ("perf stat curl x", "curl x"), ("valgrind --tool=x curl y", "curl y"), ("rlwrap curl x", "curl x"), ("hyperfine 'curl x'", "curl x"),
    ("gdb --args curl x", "curl x"), ("at now", None), ("prlimit --nofile=1 curl x", "curl x"), ("fd -x curl x", "curl x"), ("git bisect run curl x", "curl x"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "inner"), TRANSPARENT)
def test_fixed_wrappers_are_seen_through(line, inner):
    effects = look_at(line)
    assert effects.transparent
    assert not effects.runner
    assert runs(line) == [inner]


@pytest.mark.parametrize(("line", "inner"), RUNNERS)
def test_runners_name_what_they_run_and_are_no_matter_of_wildcards(line, inner):
    effects = look_at(line)
    assert not effects.transparent
    assert effects.runner or effects.findings
    if inner is not None:
        assert any(one.startswith(inner) for one in runs(line))


@pytest.mark.parametrize(
    "line",
    [
        "timeout --frob 5 x",
        "nice «x*» y",
        "nohup --frob x",
        "timeout «x» y",
        "stdbuf «x» y",
        "command -x y",
        "time -o f x",
        "xargs «x*»",
        "xargs --frob x",
    ],
)
def test_a_wrapper_that_is_not_understood_is_a_runner(line):
    assert not look_at(line).transparent


def test_looking_a_name_up_runs_nothing():
    assert look_at("command -v curl").runs == ()
    assert look_at("command -V curl").runs == ()
    assert look_at("env").runs == ()
    assert risks("env") == []


def test_bare_xargs_adds_what_it_reads():
    assert look_at("xargs wc -l").transparent
    words = look_at("xargs wc -l").runs[0]
    assert words[-1].certainty == "unknown"
    assert [value.text for value in look_at("xargs cat", given="a .env\n").runs[0]] == ["cat", "a", ".env"]


def test_environment_and_folder_of_what_is_started():
    assert [name for name, _ in look_at("env -i PATH=x A=b curl y").assignments] == ["PATH", "A"]
    assert [name for name, _ in look_at("sudo A=b curl y").assignments] == ["A"]
    assert look_at("env -C /tmp curl x").folder == "/tmp"
    assert look_at("env --chdir=/tmp curl x").folder == "/tmp"
    assert "option-runs-program" in risks("env -P /x curl y")


def test_wrappers_that_change_more_say_so():
    assert "privilege" in risks("sudo curl x")
    assert "privilege" in risks("nsenter -t 1 curl x")
    assert "runner" in risks("env -S 'a ${B}'")
    assert "runner" in risks("tmux new -d x")
    assert "option-runs-program" in risks("strace -o '|curl x' y")
    assert runs("strace -o '|curl x' y") == ["y", "curl x"]
    assert writes("strace -o x y") == ["x"]
    assert writes("time -o x y") == ["x"]
    assert "option-writes" in risks("time -o x y")
    assert reads("xargs -a .env x") == [".env"]


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("npx tsc x", 2),
        ("npx -y tsc x", 3),
        ("uv run pytest", 3),
        ("poetry run a b", 3),
        ("docker exec a b c", 4),
        ("docker run --rm a b", 5),
        ("env a b", 0),
        ("sudo a", 0),
        ("watch a", 0),
        ("xargs -n1 a", 0),
        ("python x.py a", 2),
        ("python -m a b", 3),
        ("bash x.sh a", 2),
        ("bash -c x", 0),
        ("node a.js", 2),
    ],
)
def test_how_much_of_a_runner_a_rule_has_to_spell(line, count):
    assert look_at(line).literal == count
    assert look_at(line).runner
