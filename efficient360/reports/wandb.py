"""A report in Weights & Biases: metrics with their intervals, the radar, all outcomes as a table, the run's files as an artifact.

The run is always written to the disk first and only then uploaded. So an online run is never less complete than an offline
one, and W&B out of reach costs a message, not an evaluation.
"""

import shlex
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, final

from efficient360.errors import SettingsError
from efficient360.reports import wandb_payload as payload
from efficient360.reports.radar import radar
from efficient360.reports.report import Report
from efficient360.reports.wandb_upload import upload

FILES: Final = ("report.json", "report.html", "outcomes.jsonl", "examples.parquet")
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
        problem: What went wrong, as one sentence; ``""`` when all went as asked.
        hint: What to do next, ``""`` when there is nothing to do.
    """

    url: str = ""
    folder: Path | None = None
    problem: str = ""
    hint: str = ""


def target(text: str) -> Target:
    """The target named ``PROJECT`` or ``ENTITY/PROJECT``.

    Raises:
        SettingsError: W&B takes no such name.
    """
    entity, _, project = text.rpartition("/")
    if not project or "/" in entity or FORBIDDEN & set(text) or len(project) > 128:
        raise SettingsError(
            "wandb-project", f"{text!r} can't be a W&B project", "give PROJECT or ENTITY/PROJECT: at most 128 characters, none of \\ # ? % :"
        )
    return Target(project, entity)


def log(report: Report, folder: Path, to: Target, mode: Mode) -> WandbOutcome:
    """Log a report as one W&B run of its own, below ``folder/wandb``.

    Never raises for what W&B does: whatever its library or server runs into becomes the outcome's ``problem``.

    Args:
        report: What to log.
        folder: The evaluation's folder, with ``report.json`` and its siblings.
        to: Where the run belongs.
        mode: Whether to write and whether to upload.
    """
    if mode is Mode.DISABLED:
        return WandbOutcome()
    try:
        local, server = _write(report, folder, to)
    # W&B's library raises many unrelated kinds, from its settings, its background process and the disk; none may cost the evaluation.
    except Exception as error:
        return WandbOutcome(problem=f"W&B could not write the run ({type(error).__name__}: {error})", hint="the evaluation itself is complete in its folder")
    sync = f"upload it with: wandb sync {shlex.quote(str(local))}"
    if mode is Mode.OFFLINE:
        return WandbOutcome(folder=local, hint=sync)
    done = upload(local, server)
    if not done.problem:
        return WandbOutcome(done.url, local)
    first = "run `wandb login`, then " if "API key" in done.problem else ""
    return WandbOutcome(folder=local, problem=f"{done.problem}; the run was kept in {local}", hint=first + sync)


def _write(report: Report, folder: Path, to: Target) -> tuple[Path, str]:
    """The report as an offline run: its folder and the server it is meant for."""
    import plotly.graph_objects as go
    import wandb

    name = str(report.checkpoint.get("name") or folder.name)
    run = wandb.init(
        project=to.project, entity=to.entity or None, mode="offline", dir=folder, name=name, job_type="evaluation", tags=payload.tags(report),
        config=payload.config(report), reinit="create_new", settings=_settings(),
    )
    local = Path(run.dir).parent
    try:
        tables = {
            "outcomes": wandb.Table(columns=list(payload.COLUMNS), data=payload.rows(report), allow_mixed_types=True),
            "axes": wandb.Table(columns=list(payload.AXIS_COLUMNS), data=payload.axis_rows(report), allow_mixed_types=True),
        }
        run.log({**payload.metrics(report), **tables, "radar": wandb.Plotly(go.Figure(radar(report.axes)))})
        run.summary.update(payload.particulars(report))
        run.log_artifact(_artifact(report, folder, local, name))
    finally:
        run.finish()
    return local, str(run.settings.base_url)


def _settings() -> Any:
    """Nothing on the terminal, and nothing recorded that the report doesn't say: no code, git state, console or machine."""
    import wandb

    return wandb.Settings(
        silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True, x_disable_meta=True, x_disable_machine_info=True,
        x_save_requirements=False,
    )


def _artifact(report: Report, folder: Path, local: Path, name: str) -> Any:
    """The run's files as an artifact. They are copied first: the evaluation's folder may change before the upload."""
    import wandb

    digests = {"checkpoint_digest": report.checkpoint.get("digest"), "dataset_digest": (report.dataset or {}).get("digest")}
    artifact = wandb.Artifact(f"evaluation-{payload.plain(name)}"[:128], type="evaluation", metadata=digests)
    kept = local / "artifact"
    kept.mkdir()
    for file in (folder / file for file in FILES):
        if file.is_file():
            artifact.add_file(str(shutil.copy2(file, kept)), policy="immutable")
    return artifact
