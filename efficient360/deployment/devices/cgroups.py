"""Linux control groups, versions 1 and 2: a limit on memory and CPU time around a worker and all that it starts."""

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from efficient360.errors import DeviceError

MOUNTS, OWN = Path("/proc/mounts"), Path("/proc/self/cgroup")
PERIOD = 10_000
"""Microseconds of a quota's period. It must be short beside a run: with 100 ms, runs fall into the gaps or between them, and medians stay as they were."""
HINT = "run as root, or under: systemd-run --user --scope -p Delegate=yes efficient360 …"
REMOVAL_TRIES = 50


@final
@dataclass(frozen=True)
class Limits:
    """What a group is held to; ``None`` is no limit.

    Args:
        memory: Bytes.
        quota: CPU time in percent of one core's time.
    """

    memory: int | None = None
    quota: int | None = None

    @property
    def controllers(self) -> tuple[str, ...]:
        """What the kernel calls those that are needed."""
        return ("memory",) * (self.memory is not None) + ("cpu",) * (self.quota is not None)


@final
@dataclass(frozen=True)
class ControlGroup:
    """A control group.

    Args:
        folders: Its folder in each hierarchy it stands in.
    """

    folders: Sequence[Path]

    def enter(self) -> None:
        """Put the calling process into it."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def kills(self) -> int:
        """Processes in it that the kernel killed for want of memory."""
        killed = 0
        for file in (folder / name for folder in self.folders for name in ("memory.events", "memory.oom_control")):
            if file.is_file():
                lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
                killed += sum(int(words[1]) for words in lines if words[0] == "oom_kill")
        return killed

    def remove(self) -> None:
        """Remove it, ending what is left in it."""
        for folder in self.folders:
            for _ in range(REMOVAL_TRIES):
                for process in _text(folder / "cgroup.procs").split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(process), signal.SIGKILL)
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.02)  # the kernel takes a moment to let a dead process go


@contextmanager
def group(limits: Limits, mounts: Path = MOUNTS, own: Path = OWN) -> Iterator[ControlGroup]:
    """A new group with limits, gone afterwards.

    Args:
        limits: What it is held to.
        mounts: The table of mounted file systems.
        own: The groups that this process is in.

    Raises:
        DeviceError: ``no-cgroups``: a controller that is needed is not there, or may not be written.
    """
    name, made = f"efficient360-{os.getpid()}-{secrets.token_hex(4)}", ControlGroup([])
    try:
        for controller in limits.controllers:
            folder = _make(controller, name, mounts, own)
            made = ControlGroup([*made.folders, folder] if folder not in made.folders else made.folders)
            _limit(folder, controller, limits)
        yield made
    finally:
        made.remove()


def _make(controller: str, name: str, mounts: Path, own: Path) -> Path:
    """The group's folder in the hierarchy of a controller, made where it is not there yet."""
    refused = ""
    for parent, version in _parents(controller, mounts, own):
        folder = parent / name
        try:
            if version == 2:
                _hand_down(controller, parent)
            folder.mkdir(exist_ok=True)
        except OSError as error:
            refused = refused or f" ({parent}: {error.strerror})"
            continue
        return folder
    what = "memory" if controller == "memory" else "CPU time"
    raise DeviceError("no-cgroups", f"{what} can't be limited here: no control group may be made{refused}", HINT)


def _parents(controller: str, mounts: Path, own: Path) -> Iterator[tuple[Path, int]]:
    """Groups that a new one may stand in, the nearest to this process first, with the version of their hierarchy."""
    lines = [line.split() for line in _text(mounts).splitlines()]
    groups = {part[1]: part[2] for part in (line.split(":", 2) for line in _text(own).splitlines())}
    for _, mount, kind, options, *_ in lines:
        root = Path(mount)
        if kind == "cgroup" and controller in options.split(","):
            path = next((p for names, p in groups.items() if controller in names.split(",")), "/")
            yield from ((folder, 1) for folder in dict.fromkeys((root / path.lstrip("/"), root)) if folder.is_dir())
        elif kind == "cgroup2" and controller in _text(root / "cgroup.controllers").split():
            nearest = root / groups.get("", "/").lstrip("/")
            yield from ((folder, 2) for folder in dict.fromkeys((nearest, nearest.parent if nearest != root else root, root)) if folder.is_dir())


def _hand_down(controller: str, parent: Path) -> None:
    """Let groups under a parent use a controller. The kernel refuses where the parent itself holds processes and is not the root."""
    enabled = parent / "cgroup.subtree_control"
    if controller not in enabled.read_text(encoding="ascii").split():
        enabled.write_text(f"+{controller}", encoding="ascii")


def _limit(folder: Path, controller: str, limits: Limits) -> None:
    if controller == "memory":
        version1 = (folder / "memory.limit_in_bytes").exists()
        (folder / ("memory.limit_in_bytes" if version1 else "memory.max")).write_text(str(limits.memory), encoding="ascii")
        # Without this, what does not fit goes to swap, which is another machine than the one that is meant.
        swap, most = ("memory.memsw.limit_in_bytes", limits.memory) if version1 else ("memory.swap.max", 0)
        if (folder / swap).exists():
            (folder / swap).write_text(str(most), encoding="ascii")
    if controller != "cpu" or limits.quota is None:
        return
    share = limits.quota * PERIOD // 100
    if (folder / "cpu.cfs_quota_us").exists():
        (folder / "cpu.cfs_period_us").write_text(str(PERIOD), encoding="ascii")
        (folder / "cpu.cfs_quota_us").write_text(str(share), encoding="ascii")
    else:
        (folder / "cpu.max").write_text(f"{share} {PERIOD}", encoding="ascii")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
