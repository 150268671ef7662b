"""A run's folder: outcomes that are only ever appended, scores kept batch by batch, and one writer at a time."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from pydantic import BaseModel, TypeAdapter

from efficient360.core import outcome as codec
from efficient360.core.measurement import Failure, Status
from efficient360.core.outcome import Record
from efficient360.core.parsing import parse_json
from efficient360.core.paths import exists, file_name, is_file
from efficient360.core.reading import MEBIBYTE, Reader
from efficient360.errors import RunError
from efficient360.storage.json_lines import JsonLines
from efficient360.storage.writing import into

OUTCOMES = "outcomes.jsonl"
REPORT = "report.json"
_RETRIED = (Status.FAILED, Status.NOT_RUN)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or nothing: to a neighbour first, then renamed over."""
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@final
@dataclass
class _Reader:
    """What has been read of the file so far, and where to go on."""

    groups: list[list[Record]] = field(default_factory=list)
    corrupt: int = 0
    end: int = 0
    open_group: list[Record] = field(default_factory=list)

    def catch_up(self, lines: JsonLines) -> None:
        """Read what was added since the last time; from the start where the file has become shorter."""
        if exists(lines.path) and lines.path.stat().st_size < self.end:
            self.groups, self.corrupt, self.end, self.open_group = [], 0, 0, []
        read = lines.read(self.end)
        self.corrupt, self.end = self.corrupt + read.corrupt, read.end
        for row in read.objects:
            try:
                record = codec.from_json(row)
            except ValueError:
                self.corrupt += 1
                continue
            self._add(record)

    def _add(self, record: Record) -> None:
        if record.part[0] == 0 or not self.open_group or self.open_group[-1].key != record.key:
            self.open_group = []
        if record.part[0] != len(self.open_group):
            return
        self.open_group.append(record)
        if len(self.open_group) == record.part[1]:
            self.groups.append(self.open_group)
            self.open_group = []


@final
@dataclass(frozen=True)
class Store:
    """The stored outcomes of one run.

    Args:
        folder: ``runs/NAME``; made when something is written.
    """

    folder: Path
    _reader: _Reader = field(default_factory=_Reader, init=False, repr=False, compare=False)

    @property
    def path(self) -> Path:
        """``outcomes.jsonl``."""
        return self.folder / OUTCOMES

    def work(self, key: str) -> Path:
        """A folder for unfinished work under a key; it survives interruption."""
        folder = self.folder / "work" / file_name(key)
        with into(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def append(self, records: Sequence[Record]) -> None:
        """Add the outcomes of one evaluation as one group: read back whole or not at all."""
        JsonLines(self.path).append(codec.to_json(record) for record in records)

    def groups(self) -> list[list[Record]]:
        """All whole groups in the order they were stored. Torn lines and groups are skipped; what was read before is not parsed again."""
        self._reader.catch_up(JsonLines(self.path))
        return list(self._reader.groups)

    def corrupt_lines(self) -> int:
        """How many lines of the file hold no outcome: torn by a kill, or damaged."""
        self._reader.catch_up(JsonLines(self.path))
        return self._reader.corrupt

    def latest(self, evaluator: str, key: str = "") -> list[Record]:
        """The newest whole group of an evaluator, under ``key`` if one is given; empty when there is none."""
        return next((g for g in reversed(self.groups()) if g[0].evaluator == evaluator and key in ("", g[0].key)), [])

    def newest(self, keys: Mapping[str, str]) -> dict[str, list[Record]]:
        """The newest whole group of each evaluator: of those in ``keys``, in that order, the one under their key; then what earlier runs left of others."""
        groups = self.groups()
        under_key = {(group[0].evaluator, group[0].key): group for group in groups}
        planned = {name: under_key[name, key] for name, key in keys.items() if (name, key) in under_key}
        return planned | {group[0].evaluator: group for group in groups if group[0].evaluator not in keys}

    def finished(self, evaluator: str, key: str) -> list[Record]:
        """The newest group if a rerun need not try again: not one that failed or was not reached."""
        group = self.latest(evaluator, key)
        return [] if is_retried(group) else group

    def require_same(self, header: Mapping[str, Any]) -> None:
        """Refuse to mix two evaluations in one folder.

        Args:
            header: Checkpoint and dataset of the run about to be written, as ``report.json`` tells them.

        Raises:
            RunError: The folder's report is of another checkpoint or on other data.
        """
        path = self.folder / REPORT
        if not is_file(path):
            return
        try:
            report = parse_json(_READER.read_bytes(path))
            stored = _identity(_STORED.validate_python(report))
        except (ValueError, RunError):
            return  # an unreadable report is simply written anew; outcomes are keyed by themselves
        for what, old, new in zip(("of another checkpoint", _other_data(report, header)), stored, _identity(_STORED.validate_python(header)), strict=True):
            if old != new:
                message = f"{self.folder} holds an evaluation {what} ({_short(old)}, this one has {_short(new)})"
                raise RunError("another-run", message, "choose another folder with --out")

    @contextlib.contextmanager
    def writer(self, wait: float = 10.0) -> Iterator[None]:
        """Hold the folder: one process writes at a time. The system lets go of it however the process ends.

        Raises:
            RunError: Another process holds it for longer than ``wait`` seconds, or the folder can't be written.
        """
        try:
            (self.folder / "work").mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "work" / "lock").open("a")
        except OSError as error:
            raise RunError("unwritable-run", f"the folder {self.folder} can't be written: {error.strerror}", "choose another folder with --out") from error
        with lock:
            end = time.monotonic() + wait
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > end:
                        hint = "wait for it, or choose another folder with --out"
                        raise RunError("run-busy", f"another evaluation is writing to {self.folder}", hint) from None
                    time.sleep(0.1)
            yield


def is_retried(group: Sequence[Record]) -> bool:
    """Whether a rerun tries again what gave these outcomes: it failed or was not reached."""
    return any(isinstance(r.outcome, Failure) and r.outcome.status in _RETRIED for r in group)


@final
class _Deployment(BaseModel):
    runtime: str
    precision: str


@final
class _Identified(BaseModel):
    digest: str
    deployment: _Deployment | None = None


@final
class _Stored(BaseModel):
    """What of a report tells one evaluation from another."""

    checkpoint: _Identified
    dataset: _Identified | None


_STORED: Final = TypeAdapter(_Stored)
_READER: Final = Reader(RunError, "unreadable-run", "run the same evaluation again: stored outcomes are reused", limit=1024 * MEBIBYTE)


def _identity(header: _Stored) -> tuple[str | None, str | None]:
    as_what = header.checkpoint.deployment
    deployed = f" as {as_what.runtime}:{as_what.precision}" if as_what else ""
    return header.checkpoint.digest + deployed, None if header.dataset is None else header.dataset.digest


def _other_data(stored: Mapping[str, Any], header: Mapping[str, Any]) -> str:
    """What to call the data of a stored report that differ from a new one's."""
    old, new = stored.get("dataset"), header.get("dataset")
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return "on other data"
    same = all(old.get(key) == new.get(key) for key in ("name", "title", "split", "available", "source"))
    whole = old.get("examples") == old.get("available") == new.get("examples")
    return "on another subset of the same data" if same and not whole else "on other data"


def _short(digest: str | None) -> str:
    return "none" if digest is None else f"{digest[:12]}…"
