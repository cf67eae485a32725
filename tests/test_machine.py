"""Memory and cores are those that a container may use, under both versions of Linux's control groups."""

from types import SimpleNamespace

import pytest

from utils import environment, machine
from utils.errors import CourseError

GIB = 2**30


@pytest.fixture
def container(tmp_path, monkeypatch):
    """A host of 24 GiB and 8 cores; `container("0::/", {"memory.max": 5})` puts this process into a container there."""
    monkeypatch.setattr(machine, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "present_cores", lambda: 8)
    host = SimpleNamespace(total=24 * GIB, available=20 * GIB)
    monkeypatch.setattr("psutil.virtual_memory", lambda: host)

    def make(own, files):
        (tmp_path / "own").write_text(own)
        for name, content in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n")

    return make


STAT = "anon 5\n" + "".join(
    f"{name} {size}\ntotal_{name} {size}\n"
    for name, size in (("inactive_file", GIB // 4), ("active_file", GIB // 8), ("slab_reclaimable", GIB // 8))
)
LIMITED = {
    "version 2, its own root": ("0::/\n", {"memory.max": 2 * GIB, "memory.current": GIB, "memory.stat": STAT,
                                           "cpu.max": "150000 100000"}),
    "version 2, seen from the host": ("0::/docker/abc\n", {
        "docker/abc/memory.max": 2 * GIB, "docker/abc/memory.current": GIB, "docker/abc/memory.stat": STAT,
        "docker/abc/cpu.max": "150000 100000", "memory.max": "max"}),
    "version 2, limited further up": ("0::/pod/abc\n", {
        "pod/abc/memory.max": "max", "pod/abc/cpu.max": "max 100000", "pod/memory.max": 2 * GIB,
        "pod/memory.current": GIB, "pod/memory.stat": STAT, "pod/cpu.max": "200000 100000"}),
    "version 2, a soft limit": ("0::/\n", {"memory.max": "max", "memory.high": 2 * GIB, "memory.current": GIB,
                                           "memory.stat": STAT, "cpu.max": "200000 100000"}),
    "version 2, a path that leads out": ("0::/../../abc\n", {
        "memory.max": 2 * GIB, "memory.current": GIB, "memory.stat": STAT, "cpu.max": "200000 100000"}),
    "version 1": ("12:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/\n0::/\n", {
        "memory/memory.limit_in_bytes": 2 * GIB, "memory/memory.usage_in_bytes": GIB, "memory/memory.stat": STAT,
        "cpu,cpuacct/cpu.cfs_quota_us": 200000, "cpu,cpuacct/cpu.cfs_period_us": 100000}),
    "version 1, seen from the host": ("4:memory:/two\n3:cpu:/two\n", {
        "memory/two/memory.limit_in_bytes": 2 * GIB, "memory/two/memory.usage_in_bytes": GIB,
        "memory/two/memory.stat": STAT, "memory/memory.limit_in_bytes": 9223372036854771712,
        "cpu/two/cpu.cfs_quota_us": 150000, "cpu/two/cpu.cfs_period_us": 100000}),
}  # fmt: skip


@pytest.mark.parametrize("kind", LIMITED)
def test_the_limits_of_a_container_are_the_machines(container, kind):
    container(*LIMITED[kind])
    assert machine.memory() == 2
    assert machine.available() == 1.5  # what caches of files take gives way
    assert machine.cores() == 2
    assert machine.is_small()


FREE = {
    "no container": ("0::/user.slice\n", {}),
    "version 2 without limits": ("0::/\n", {"memory.max": "max", "cpu.max": "max 100000"}),
    "version 1 without limits": ("4:memory:/\n3:cpu:/\n", {
        "memory/memory.limit_in_bytes": 9223372036854771712,
        "cpu/cpu.cfs_quota_us": -1, "cpu/cpu.cfs_period_us": 100000}),
    "unreadable": ("0::/\n", {"memory.max": "", "cpu.max": "what"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", FREE)
def test_without_limits_it_is_the_whole_machine(container, kind):
    container(*FREE[kind])
    assert (machine.memory(), machine.available(), machine.cores()) == (24, 20, 8)
    assert not machine.is_small()
    assert environment.within_container() == {}


def test_without_control_groups_it_is_the_whole_machine(container):
    assert (machine.memory(), machine.available(), machine.cores()) == (24, 20, 8)


def test_a_share_of_a_core_is_one(container):
    container("0::/\n", {"cpu.max": "20000 100000"})
    assert machine.cores() == 1


@pytest.mark.parametrize(("gib", "words"), [(24.4, "24 GiB"), (2.0, "2 GiB"), (1.5, "1.5 GiB"), (7.96, "8 GiB")])
def test_memory_is_said_shortly(gib, words):
    assert machine.gib(gib) == words


def test_threads_and_workers_keep_within_a_container(container):
    container("0::/\n", {"cpu.max": "200000 100000"})
    assert environment.within_container() == {"OMP_NUM_THREADS": "2", "LOKY_MAX_CPU_COUNT": "2"}
    container("0::/\n", {"memory.max": 2 * GIB, "memory.current": 0})
    assert environment.within_container() == {"OMP_NUM_THREADS": "2", "LOKY_MAX_CPU_COUNT": "1"}


@pytest.mark.parametrize(
    ("limit", "used", "uses", "said"),
    [(1, 0.1, ["imdb"], "There are 1 GiB of memory here; this notebook needs 1.5 GiB for itself"), (1, 0.1, [], None),
     (2, 1, None, "Only 1 GiB of 2 GiB of memory are free"), (2, 1, [], None), (2, 0.2, None, None),
     (16, 15, ["bert", "imdb"], "Only 1 GiB of 16 GiB"), (16, 1, None, None), (0.5, 0, [], "There are 0.5 GiB")],
)  # fmt: skip
def test_too_little_memory_is_one_line_before_anything_heavy(container, limit, used, uses, said):
    container("0::/\n", {"memory.max": int(limit * GIB), "memory.current": int(used * GIB)})
    if said is None:
        environment.require_memory(uses)
        return
    with pytest.raises(CourseError, match=said) as error:
        environment.require_memory(uses)
    assert len(str(error.value).splitlines()) == 1
