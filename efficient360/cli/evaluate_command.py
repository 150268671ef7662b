"""``efficient360 evaluate``: one checkpoint or several, from the command line or a job file. One that can't be evaluated costs the others nothing."""

import argparse
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from rich.console import Group, RenderableType
from rich.text import Text

from efficient360.cli.checkpoint_options import pairs, weights_key
from efficient360.cli.output import Result
from efficient360.core.paths import file_name
from efficient360.core.text import one_line
from efficient360.errors import Efficient360Error, PluginError, SettingsError

OK: Final = 0
NOT_EVALUATED: Final = 2
MISSING: Final = 3


@final
@dataclass(frozen=True)
class Ended:
    """How the evaluation of one checkpoint ended.

    Args:
        checkpoint: As it was typed.
        run: Its :class:`~efficient360.reports.run_report.RunReport`; ``None`` where it could not be evaluated.
        error: Why it could not.
        strict: Whether missing metrics count.
    """

    checkpoint: str
    run: Any = None
    error: Efficient360Error | None = None
    strict: bool = False

    @property
    def code(self) -> int:
        """What it adds to the exit code."""
        return NOT_EVALUATED if self.run is None else MISSING if self.strict and self.run.failures else OK


def evaluate(options: argparse.Namespace) -> int:
    """Evaluate checkpoints one after the other, and print what they come to.

    Args:
        options: The command's; ``options.parse`` makes options of a command line, for those of a job file.

    Returns:
        0; 2 where a checkpoint could not be evaluated, 3 where metrics are missing under ``--strict``.

    Raises:
        Efficient360Error: The only checkpoint can't be evaluated, or what all share is wrong: then none is.
    """
    jobs = planned(options)
    ended = _one_by_one(jobs, options) if len(jobs) > 1 else [Ended(jobs[0].checkpoint[0], _run(jobs[0], options), strict=jobs[0].strict)]
    options.console.result(_result(ended))
    return next((code for code in (NOT_EVALUATED, MISSING) if any(end.code == code for end in ended)), OK)


def planned(options: argparse.Namespace) -> list[argparse.Namespace]:
    """The options of each evaluation, with one checkpoint each, and the folder of each where there are several.

    Raises:
        SettingsError: No checkpoint, or a job file that is none.
    """
    if options.config is not None:
        from efficient360.cli.job import options_of, read_job

        asked = options_of(read_job(options.config), options.checkpoint)  # what was typed comes after them, so that it wins
        jobs = [_with_checkpoint(options.parse(["evaluate", *arguments, *options.typed[1:]]), checkpoint) for checkpoint, *arguments in asked]
    elif options.checkpoint:
        jobs = [_with_checkpoint(options, checkpoint) for checkpoint in options.checkpoint]
    else:
        raise SettingsError("no-checkpoint", "no checkpoint is named", "efficient360 evaluate CHECKPOINT --dataset DATA, or --config FILE")
    if len(jobs) > 1:
        names = _told_apart([job.checkpoint[0] for job in jobs])
        for job, name in zip(jobs, names, strict=True):
            job.name = name
            job.out = job.out / file_name(name) if job.out is not None else None
    return jobs


def _with_checkpoint(options: argparse.Namespace, checkpoint: str) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(options), "checkpoint": [checkpoint], "name": ""})


def _told_apart(references: Sequence[str]) -> list[str]:
    """Names of runs: a file's own where no other has it, else with as many of its folders as it takes; the same checkpoint again gets a number."""
    parts = [_parts(reference) for reference in references]
    depth = 1
    names = ["-".join(part[-depth:]) for part in parts]
    while len(set(names)) < len(names) and depth < max(map(len, parts)):
        depth += 1
        shared = Counter(names)
        names = ["-".join(part[-depth:]) if shared[name] > 1 else name for part, name in zip(parts, names, strict=True)]
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        seen[name] += 1
        names[place] = name if seen[name] == 1 else f"{name}-{seen[name]}"
    return names


def _parts(reference: str) -> list[str]:
    path = Path(reference.rstrip("/"))
    if path.suffix in (".safetensors", ".pth", ".pt", ".bin"):
        return [part for part in path.with_suffix("").parts if part not in ("/", "..", "~")]
    return [part for part in path.parts if part not in ("/", "..", "~")] if "/" in reference and ":" not in reference else [reference]


def _one_by_one(jobs: Sequence[argparse.Namespace], options: argparse.Namespace) -> list[Ended]:
    ended: list[Ended] = []
    for number, job in enumerate(jobs):
        checkpoint = job.checkpoint[0]
        options.console.step(f"{number + 1}/{len(jobs)}: {one_line(checkpoint)}")
        try:
            ended.append(Ended(checkpoint, _run(job, options), strict=job.strict))
        except Efficient360Error as error:
            if number == 0 and isinstance(error, SettingsError | PluginError) and not job.deployment:  # of the options that all share
                raise
            options.console.warn_of(error)
            ended.append(Ended(checkpoint, error=error))
    return ended


def _run(job: argparse.Namespace, options: argparse.Namespace) -> Any:
    """Evaluate one checkpoint; the :class:`~efficient360.reports.run_report.RunReport`."""
    from efficient360 import api
    from efficient360.execution.plan import parse_settings
    from efficient360.reports.wandb.log import mode_of, parse_project

    if job.wandb:
        parse_project(job.wandb)  # a bad name is rejected before the work, not after it
        mode_of(job.wandb_mode)
    with options.console.progress() as listen:
        run = api.evaluate(
            job.checkpoint[0],
            job.dataset,
            protocol=job.protocol,
            only=_names(job.only),
            settings=parse_settings(job.set),
            out=job.out,
            name=job.name,
            progress=listen,
            architecture=job.arch,
            arguments=pairs("--arch-arg", job.arch_arg),
            preprocessing=pairs("--preprocess", job.preprocess),
            output=job.output,
            random_weights=job.random_weights,
            weights_key=weights_key(job),
            data_dir=job.data_dir,
            split=job.split,
            image_column=job.image_column,
            label_column=job.label_column,
            group_columns=job.group_column,
            class_map=job.class_map,
            class_order=job.class_order,
            max_examples=job.max_examples,
            seed=job.seed,
            batch_size=job.batch_size,
            device=job.device,
            deployment=job.deployment,
            max_minutes=job.max_minutes,
            plugins=job.plugin,
            command=shlex.join(["efficient360", *options.typed]),
        )
    if job.wandb:
        _log_to_wandb(run.report, run.folder, job, options)
    return run


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if text and not names:
        raise SettingsError(
            "bad-option", f"--only {text!r} names no evaluator", "leave it out to run the whole protocol, or name evaluators: --only accuracy,macs"
        )
    return names


def _log_to_wandb(report: Any, folder: Path, job: argparse.Namespace, options: argparse.Namespace) -> None:
    from efficient360.reports.wandb.log import log, mode_of

    outcome = log(report, folder, job.wandb, mode_of(job.wandb_mode))
    if outcome.url:
        options.console.step(f"W&B: {outcome.url}")
    elif outcome.folder and not outcome.problem:
        options.console.step(f"W&B: written to {outcome.folder}, upload it with: {outcome.command}")
    if outcome.problem:
        options.console.warn(f"W&B: {outcome.problem}")


def _result(ended: Sequence[Ended]) -> Result:
    from efficient360.reports.terminal_summary import brief, summary

    if len(ended) == 1:
        run = ended[0].run
        return Result(lambda: summary(run.report, run.folder), lambda: brief(run.report, run.folder), lambda: _data(ended))
    return Result(lambda: _several(ended), lambda: _several(ended), lambda: _data(ended))


def _several(ended: Sequence[Ended]) -> RenderableType:
    """The verdict on each, what could not be evaluated, and the command that compares them."""
    from efficient360.reports.terminal_summary import brief

    blocks: list[RenderableType] = [brief(end.run.report, end.run.folder) for end in ended if end.run is not None]
    if failed := [end for end in ended if end.error is not None]:
        blocks.append(Text(f"\n{len(failed)} of {len(ended)} checkpoints could not be evaluated", style="bold red"))
        blocks += [Text(f"  {one_line(end.checkpoint)}: {one_line(end.error.message)}") for end in failed if end.error is not None]
    folders = [shlex.quote(str(end.run.folder)) for end in ended if end.run is not None]
    if len(folders) > 1:
        blocks.append(Text.assemble("\nCompare them: ", (f"efficient360 compare {' '.join(folders)}", "bold")))
    return Group(*blocks)


def _data(ended: Sequence[Ended]) -> dict[str, Any]:
    from efficient360.reports.summary_data import summary_data

    runs = [summary_data(end.run.report, end.run.folder) for end in ended if end.run is not None]
    errors = [(end.checkpoint, end.error) for end in ended if end.error is not None]
    return {"runs": runs, "errors": [{"checkpoint": name, **error.to_json()} for name, error in errors]}
