"""Profiles, played for real: what the worker sees, and what the kernel was told."""

import dataclasses
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices import cgroups, limited, timing
from efficient360.deployment.devices.catalogue import device_from_address
from efficient360.deployment.devices.cgroups import Limits
from efficient360.deployment.devices.device import DeviceReading, Job, Schedule, TimingBlock
from efficient360.deployment.runtimes.kit import machine
from efficient360.errors import DeviceError, Efficient360Error, SettingsError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has control groups and affinities")


def _writable(limits: Limits) -> str:
    try:
        with cgroups.group(limits):
            return ""
    except DeviceError as error:
        return error.message


MEMORY, QUOTA = _writable(Limits(memory=2**30)), _writable(Limits(quota=50))
needs_memory = pytest.mark.skipif(bool(MEMORY), reason=MEMORY or "-")
needs_quota = pytest.mark.skipif(bool(QUOTA), reason=QUOTA or "-")


def groups_left() -> list[Path]:
    mounts = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[2].startswith("cgroup"))
    return [path for mount in mounts for path in Path(mount).glob(f"**/efficient360-{os.getpid()}-*")]


def read(found: limited.Limited, jobs: list[Job], probes: Path, schedule: Schedule) -> list[DeviceReading | Failure]:
    return [outcome for _, outcome in found.measure(jobs, probes, schedule, lambda done, total: None)]


def test_the_worker_runs_on_the_profiles_cores(little: Callable[..., Job], probes: Path) -> None:
    rows = limited.limited("1core").operators(little().artefact, probes, 0, 60.0)
    assert isinstance(rows, list)
    assert rows[0]["kind"] == str(limited.spread(sorted(os.sched_getaffinity(0)))[:1])


def test_an_image_is_answered_as_without_limits(little: Callable[..., Job], probes: Path, short: Schedule) -> None:
    (reading,) = read(limited.limited("1core"), [little()], probes, short)
    assert isinstance(reading, DeviceReading)
    assert reading.threads == 1
    assert reading.logits is not None
    np.testing.assert_allclose(reading.logits, np.load(probes).sum((2, 3)), rtol=1e-5)


@needs_memory
def test_it_is_described_as_the_profile(probes: Path) -> None:
    facts = device_from_address("limited:1core-1gb").describe()
    assert (facts.name, facts.cores, facts.memory) == ("limited:1core-1gb", 1, 2**30)
    assert facts.emulated.startswith(f"emulated on {facts.cpu}: 1 of ")
    assert facts.emulated.endswith("1 GiB")


@pytest.mark.slow
@needs_memory
def test_memory_over_the_limit_ends_that_worker_alone(little: Callable[..., Job], probes: Path, short: Schedule) -> None:
    jobs = [little("modest"), little("hungry", eats=200 * 2**20), little("also-modest")]
    modest, hungry, other = read(limited.limited("256mb"), jobs, probes, short)
    assert isinstance(modest, DeviceReading)
    assert isinstance(other, DeviceReading)
    assert isinstance(hungry, Failure)
    assert (hungry.status, hungry.code) == (Status.FAILED, "worker-killed")
    assert "needs more than the 256 MiB of the profile" in hungry.message
    assert groups_left() == []


@needs_memory
def test_a_worker_that_is_killed_for_another_reason_is_not_blamed_on_memory(little: Callable[..., Job], probes: Path, short: Schedule) -> None:
    (killed,) = read(limited.limited("1gb"), [little(dies="SIGKILL")], probes, short)
    assert isinstance(killed, Failure)
    assert killed.code == "worker-killed"
    assert "profile" not in killed.message


@needs_memory
@needs_quota
def test_the_kernel_is_told_the_limits_and_forgets_them() -> None:
    found = limited.limited("1core-512mb-quota50")
    with found._place() as place, closing(place.start()) as link:
        mine = [line.split(":", 2)[1:] for line in Path(f"/proc/{link.pid}/cgroup").read_text().splitlines() if "efficient360-" in line]
        assert {name for names, _ in mine for name in names.split(",")} >= {"memory", "cpu"} or mine[0][0] == ""
        told = {file.name: file.read_text().strip() for folder in groups_left() for file in folder.glob("*") if file.name in WANTED}
    assert {told.get("memory.limit_in_bytes"), told.get("memory.max")} >= {str(512 * 2**20)}
    period, quota = told.get("cpu.max", f"{told.get('cpu.cfs_quota_us')} {told.get('cpu.cfs_period_us')}").split()[::-1]
    assert (period, quota) == ("10000", "5000")
    assert groups_left() == []


WANTED = {"memory.limit_in_bytes", "memory.max", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.max"}


@needs_quota
def test_what_a_worker_leaves_running_goes_with_its_group() -> None:
    with ExitStack() as stack:
        group = stack.enter_context(cgroups.group(Limits(quota=50)))
        child = os.fork()
        if child == 0:
            group.enter()
            os.execvp("sleep", ["sleep", "600"])
        while not (group.folders[0] / "cgroup.procs").read_text().split():
            os.sched_yield()
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == 9
    assert groups_left() == []


def test_without_writable_groups_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text("proc /proc proc rw 0 0\n")
    (tmp_path / "own").write_text("0::/\n")
    with pytest.raises(DeviceError) as error, cgroups.group(Limits(memory=2**30), tmp_path / "mounts", tmp_path / "own"):
        pass
    assert error.value.code == "no-cgroups"
    assert error.value.message.startswith("memory can't be limited here")
    assert "systemd-run" in error.value.hint


def test_version_two_is_told_in_its_own_words(tmp_path: Path) -> None:
    """A folder stands in for the file system: what is written where, by the kernel's documentation of version 2."""
    root = tmp_path / "cg"
    own = root / "user"
    own.mkdir(parents=True)
    (root / "cgroup.controllers").write_text("cpu memory pids")
    (own / "cgroup.subtree_control").write_text("memory")
    (tmp_path / "mounts").write_text(f"cgroup2 {root} cgroup2 rw 0 0\n")
    (tmp_path / "own").write_text("0::/user\n")
    with cgroups.group(Limits(memory=2**30, quota=150), tmp_path / "mounts", tmp_path / "own") as group:
        (folder,) = group.folders
        assert folder.parent == own
        assert (own / "cgroup.subtree_control").read_text() == "+cpu"
        assert (folder / "memory.max").read_text() == str(2**30)
        assert (folder / "cpu.max").read_text() == "15000 10000"
        for file in folder.iterdir():
            file.unlink()  # the kernel's files go with their folder
        (folder / "cgroup.procs").touch()
        (folder / "memory.events").write_text("oom 3\noom_kill 2\n")
        assert group.kills() == 2
        (folder / "memory.events").unlink()
        cgroups.ControlGroup([folder]).enter()
        assert (folder / "cgroup.procs").read_text() == str(os.getpid())
        (folder / "cgroup.procs").unlink()


def test_a_core_gives_one_thread_before_any_gives_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        (tmp_path / str(cpu)).write_text(siblings)
    monkeypatch.setattr(limited, "SIBLINGS", str(tmp_path / "{}"))
    assert limited.spread([0, 2, 1, 3]) == [0, 1, 2, 3]


def test_a_runtime_that_obeys_no_cap_is_refused_where_the_cap_bites(
    little: Callable[..., Job], probes: Path, short: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = {**machine.describe(), "isa": ["avx2", "avx512f"]}
    monkeypatch.setattr("efficient360.deployment.devices.limited.describe", lambda: newer)
    found = limited.limited("1core-avx2")
    (refused,) = read(found, [little()], probes, short)
    assert isinstance(refused, Failure)
    assert (refused.status, refused.code) == (Status.UNSUPPORTED, "no-instruction-cap")
    assert refused.message == "Little can't be held to AVX2: it obeys no setting for it"
    job = dataclasses.replace(little().artefact, runtime="openvino")
    assert found._refusal(job) is None
    assert found.describe().isa == ["avx2"] or "avx2" not in newer["isa"]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("limited:", "bad-profile"),
        ("limited:99999core", "profile-too-large"),
        ("limited", "unknown-device"),
        ("pi", "unknown-device"),
    ],
)
def test_bad_addresses(address: str, code: str) -> None:
    with pytest.raises(Efficient360Error) as error:
        device_from_address(address)
    assert isinstance(error.value, SettingsError)
    assert error.value.code == code


@needs_quota
def test_the_worker_counts_how_long_its_quota_held_it_back(little: Callable[..., Job], probes: Path, short: Schedule) -> None:
    (reading,) = read(limited.limited("1core-quota50"), [little()], probes, short)
    assert isinstance(reading, DeviceReading)
    assert all(block.after["throttled"] >= block.before["throttled"] >= 0 for block in reading.blocks)


def test_waiting_for_a_quota_is_no_disturbance() -> None:
    def blocks(**counters: float) -> list[TimingBlock]:
        return [TimingBlock([0.02] * 4, [0.01] * 4, 0.08, dict.fromkeys(counters, 0.0), counters)]

    assert not timing.clean(blocks(), 1).any()
    assert timing.clean(blocks(throttled=0.04), 1).all()
    assert not timing.noisy(blocks(throttled=0.04), 1)


def test_runs_without_cpu_times_are_all_kept() -> None:
    assert timing.clean([TimingBlock([0.02] * 4, [], 0.08)], 1).tolist() == [True] * 4
