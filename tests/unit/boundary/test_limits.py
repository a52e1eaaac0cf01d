"""Limits and the folder of a session, as far as they are plain questions to the file system."""

import os

from ringfence.boundary import folder, limits
from ringfence.boundary.limits import RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC, Group
from ringfence.policy.model import Limits


def test_each_limit_becomes_its_own_resource():
    given = Limits(processes=5, file_size=6, open_files=7)
    assert dict(limits.resource_limits(given)) == {RLIMIT_NPROC: 5, RLIMIT_FSIZE: 6, RLIMIT_NOFILE: 7}


def test_only_memory_and_cpus_need_a_group():
    assert not limits.needs_group(Limits(processes=1, file_size=1, open_files=1, wall_time=1.0, scratch=1))
    assert limits.needs_group(Limits(memory=1))
    assert limits.needs_group(Limits(cpus=1.0))


def test_running_out_of_memory_is_read_from_either_version(tmp_path):
    (tmp_path / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    assert Group(folders=(str(tmp_path),), version="v2").out_of_memory()
    assert not Group(folders=(str(tmp_path),), version="v1").out_of_memory()


class TestSweeping:
    def host(self, tmp_path):
        from facts import host

        return host(uid=os.getuid(), state_dir=str(tmp_path / "state"))

    def test_takes_what_a_dead_launcher_left_and_leaves_the_living_alone(self, tmp_path):
        where = self.host(tmp_path)
        living, dead = folder.create(where), folder.create(where)
        with open(dead.live, "w") as file:
            file.write(f"{os.getpid()} 1\n")  # our pid, but a process that began at another time
        folder.sweep(where)
        assert os.path.exists(living.live)
        assert os.path.isdir(living.staging)
        assert not os.path.exists(dead.live)
        assert living.staging == dead.staging  # mounted over in namespaces of their own: nothing to remove
        folder.finish(living)

    def test_is_not_confused_by_strange_files(self, tmp_path):
        where = self.host(tmp_path)
        one = folder.create(where)
        for name, text in (("a", ""), ("b", "x y z\n"), ("c", "1\n")):
            with open(f"{tmp_path}/state/live/{name}", "w") as file:
                file.write(text)
        folder.sweep(where)
        folder.finish(one)

    def test_everything_is_private(self, tmp_path):
        one = folder.create(self.host(tmp_path))
        modes = {
            os.stat(path).st_mode & 0o777
            for path in (
                f"{tmp_path}/state",
                f"{tmp_path}/state/sessions",
                one.path,
                f"{tmp_path}/state/live",
            )
        }
        assert modes == {0o700}
        folder.finish(one)

    def test_a_session_that_never_began_is_forgotten(self, tmp_path):
        one = folder.create(self.host(tmp_path))
        folder.finish(one)
        folder.forget(one)
        assert os.listdir(f"{tmp_path}/state/sessions") == []
