"""A report in Weights & Biases: metrics with their intervals, the radar, all outcomes as a table, the run's files as an artifact.

The run is always written to the disk first and only then uploaded. So an online run is never less complete than an offline
one, and W&B out of reach costs a message, not an evaluation.
"""

import json
import shlex
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, final

from efficient360.errors import SettingsError
from efficient360.reports import wandb_payload as payload
from efficient360.reports.radar import radar
from efficient360.reports.report import Report
from efficient360.reports.wandb_process import bounded
from efficient360.reports.wandb_upload import upload

FILES: Final = ("report.json", "report.html", "outcomes.jsonl", "examples.parquet")
WRITE_SECONDS: Final = 120.0
FORBIDDEN: Final = frozenset("\\#?%:")


class Mode(StrEnum):
    """What to do with a report."""

    ONLINE = "online"
    """Write it locally, then upload it."""
    OFFLINE = "offline"
    """Write it locally; ``wandb sync`` uploads it later."""
    DISABLED = "disabled"
    """Do nothing."""


@final
@dataclass(frozen=True)
class Target:
    """Where runs go: a project, and the entity (user or team) that owns it; ``""`` is the user's default entity."""

    project: str
    entity: str = ""


@final
@dataclass(frozen=True)
class WandbOutcome:
    """How logging ended.

    Args:
        url: Page of the uploaded run, ``""`` when it was not uploaded.
        folder: The local run, ``None`` when none was written.
        problem: What went wrong and what to do next, as one line; ``""`` when all went as asked.
    """

    url: str = ""
    folder: Path | None = None
    problem: str = ""

    @property
    def command(self) -> str:
        """What uploads the local run later; ``""`` when none was written."""
        return "" if self.folder is None else f"wandb sync {shlex.quote(str(self.folder))}"


def target(text: str) -> Target:
    """The target named ``PROJECT`` or ``ENTITY/PROJECT``.

    Raises:
        SettingsError: W&B takes no such name.
    """
    entity, _, project = text.rpartition("/")
    if not project or "/" in entity or FORBIDDEN & set(text) or len(project) > 128:
        raise SettingsError("wandb-project", f"{text!r} can't be a W&B project", "give PROJECT or ENTITY/PROJECT: at most 128 characters, none of \\ # ? % :")
    return Target(project, entity)


def log(report: Report, folder: Path, project: str, mode: Mode) -> WandbOutcome:
    """Log a report as one W&B run of its own, below ``folder/wandb``.

    Never raises for what W&B does: whatever its library or server runs into becomes the outcome's ``problem``.

    Args:
        report: What to log.
        folder: The evaluation's folder, with ``report.json`` and its siblings.
        project: ``PROJECT`` or ``ENTITY/PROJECT``.
        mode: Whether to write and whether to upload.

    Raises:
        SettingsError: ``project`` is no project's name; ask :func:`target` before an evaluation rather than after it.
    """
    to = target(project)
    if mode is Mode.DISABLED:
        return WandbOutcome()
    said = bounded(["efficient360.reports.wandb_write"], folder, WRITE_SECONDS, _own_folders(folder), json.dumps(_payload(report, folder, to), default=str))
    answer = _answer(said)
    if "problem" in answer:
        return WandbOutcome(problem=f"the run could not be written ({answer['problem']}); the evaluation itself is complete in {folder}")
    local, server = Path(answer["folder"]), answer["server"]
    written = WandbOutcome(folder=local)
    if mode is Mode.OFFLINE:
        return written
    done = upload(local, server)
    if not done.problem:
        return replace(written, url=done.url)
    first = "run `wandb login`, then " if "API key" in done.problem else ""
    return replace(written, problem=f"{done.problem}; the run is kept on this machine, {first}upload it with: {written.command}")


def _payload(report: Report, folder: Path, to: Target) -> dict[str, Any]:
    """All that the writing process needs, as JSON data."""
    name = str(report.checkpoint.get("name") or folder.name)
    digests = {"checkpoint_digest": report.checkpoint.get("digest"), "dataset_digest": (report.dataset or {}).get("digest")}
    return {
        "folder": str(folder.resolve()),
        "project": to.project,
        "entity": to.entity,
        "name": name,
        "tags": payload.tags(report),
        "config": payload.config(report),
        "metrics": payload.metrics(report),
        "particulars": payload.particulars(report),
        "tables": {
            "outcomes": {"columns": payload.COLUMNS, "data": payload.rows(report)},
            "axes": {"columns": payload.AXIS_COLUMNS, "data": payload.axis_rows(report)},
        },
        "radar": radar(report.axes),
        "artifact": {
            "name": f"evaluation-{payload.plain(name)}"[:128],
            "metadata": digests,
            "files": [str((folder / file).resolve()) for file in FILES if (folder / file).is_file()],
        },
    }


def _own_folders(folder: Path) -> dict[str, str]:
    """W&B's staged copies belong beside the run that needs them, not in the user's home."""
    return {"WANDB_DATA_DIR": str(folder.resolve() / "wandb")}


def _answer(said: str | None) -> dict[str, str]:
    """What the writing process answered; its last words where it died without an answer."""
    if said is None:
        return {"problem": f"W&B did not finish within {WRITE_SECONDS:.0f} s"}
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "W&B said nothing")
    try:
        answer: dict[str, str] = json.loads(last)
    except ValueError:
        return {"problem": last}
    return answer
