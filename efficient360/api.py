"""The front door for Python: evaluate a checkpoint or a network in memory, load a finished run, compare two. The command line stands on it.

Importing it imports no torch: what a reference names is opened by a worker process, so that the caller's need not wait for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from efficient360.core.findings import Finding, findings_from_json
from efficient360.core.paths import file_name, possible_path, user_path
from efficient360.core.reading import shown
from efficient360.core.settings import LARGEST_SEED
from efficient360.datasets.class_map import read_class_map
from efficient360.datasets.layouts.catalogue import ALIASES, LAYOUTS
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import RunError, SettingsError
from efficient360.execution.events import Event, Finished, Found, Opened
from efficient360.execution.plan import Plan, Protocol, Step, chosen, configure, read_protocol, with_settings
from efficient360.execution.progress import listener
from efficient360.execution.worker import isolated
from efficient360.models.checkpoint import CheckpointSpec, Preprocessing
from efficient360.plugins.registry import Entry, dimensions, evaluator_class, evaluators
from efficient360.reports.card import save_card
from efficient360.reports.folder import assemble, read, save, stored_records
from efficient360.reports.report import Report
from efficient360.reports.run_report import RunReport
from efficient360.storage.outcomes import Store

if TYPE_CHECKING:
    from torch import nn

    from efficient360.evaluator import Evaluator, ExampleEvaluator
    from efficient360.reports.run_comparison import RunComparison

Listener = Callable[[Event], None]


def evaluate(
    model: str | Path | nn.Module,
    dataset: Any = None,
    *,
    protocol: str | Path = "quick",
    only: Sequence[str | Evaluator | ExampleEvaluator] = (),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    out: str | Path | None = None,
    name: str = "",
    progress: bool | Listener = False,
    transform: Callable[[Any], Any] | None = None,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    class_names: Sequence[str] = (),
    groups: Mapping[str, Sequence[str]] | None = None,
    training: Any = None,
    architecture: str = "",
    arguments: Mapping[str, Any] | None = None,
    random_weights: bool = False,
    ema: bool = False,
    weights_key: str = "",
    output: str | int = "",
    data_dir: str | Path | None = None,
    split: str = "",
    image_column: str = "",
    label_column: str = "",
    group_columns: Sequence[str] = (),
    class_map: str | Path | Mapping[str, str | int] | None = None,
    class_order: Literal["", "data", "checkpoint"] = "",
    max_examples: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    device: str = "cpu",
    deployment: str = "",
    max_minutes: float | None = None,
    plugins: Sequence[str | Path] = (),
    command: str = "",
) -> RunReport:
    """Evaluate a model along the axes of a protocol, and keep everything in a folder that a second call takes up.

    A checkpoint given by reference runs in a worker process: an evaluator that crashes it loses its own numbers only. A network, data or evaluators in
    memory exist in this process alone and so run in it: whatever ends the process ends the evaluation, and the next call resumes it.

    Args:
        model: Name in the embedded zoo, timm name or tag, ``hf-hub:org/name``, a path to weights; or a ``torch.nn.Module`` from normalised images
            ``(B, 3, H, W)`` to logits ``(B, K)``. The module is copied and stays as it is.
        dataset: Name of a data set, path to a card, ``KIND:PATH`` such as ``imagenet:DIR``, a plain path; or data in memory: a map-style torch data set of
            ``(image, label)``, or a tuple of arrays ``(images, labels)``. ``None`` measures only what needs no data.
        protocol: ``quick``, ``standard``, ``full`` or a YAML file.
        only: Evaluators to run: names, or instances with settings of their own, such as ``Calibration(bins=20)``. Empty runs the whole protocol.
        settings: Other values of settings, by evaluator.
        out: The run's folder; by default ``runs/NAME-DATASET-PROTOCOL``.
        name: What the default folder calls the model, where its own name would not tell it from another's.
        progress: ``True`` shows progress on the standard error; or a function that is called with every event.
        transform: From an image to the tensor that the network was trained on, such as a torchvision ``Compose``. Its final ``Normalize`` moves into
            the model, so that attacks and corruptions work on pixels in [0, 1]. For a network, or for data, in memory.
        preprocessing: The same as plain data, in place of ``transform``, where a network in memory meets a data set opened by name. With a reference,
            a mapping with some of its values, over the sidecar's: ``{"input_size": 32, "mean": 0.5, "std": 0.5}``.
        mean: Per-channel mean in [0, 1] that the network's images are normalised with, where no transform says so.
        std: Per-channel deviation, likewise.
        class_names: Names of the classes, in the order of the network's outputs and of the labels in memory.
        groups: Group values of the examples in memory, by group column, for fairness.
        training: The training split in memory.
        architecture: Architecture of a bare weights file: a timm name, ``torchvision:NAME``, or ``path/to/file.py:NAME`` of a function or class that
            gives a ``torch.nn.Module``. The file is run.
        arguments: Arguments of the architecture.
        random_weights: Build the architecture with random weights; costs only.
        ema: Deprecated: ``weights_key="ema"``.
        weights_key: Which weights to take where the file holds several (plain and average, teacher and student): a key, a prefix of names, part of
            either, or ``"ema"``.
        output: Which of a network's several outputs are the logits: its name or index, with dots between levels (``"heads.fine"``). Where it returns an
            object, a tuple or a dictionary, the one of a usual name (``logits`` …) is taken by itself.
        data_dir: Local copy of the data set.
        split: Split to evaluate.
        image_column: Image column.
        label_column: Label column.
        group_columns: Group columns for fairness.
        class_map: Which of the checkpoint's outputs, by name or index, answers each class of the data: a mapping, or a CSV, JSON or YAML file.
            Without it classes are matched by name, and names that don't match are an error.
        class_order: ``"data"`` or ``"checkpoint"`` takes classes to be in the same order on both sides, whatever their names, and shows that side's.
        max_examples: Size of a stratified, seeded subset.
        seed: Of all randomness.
        batch_size: Examples held at a time.
        device: ``cpu`` or ``cuda``.
        deployment: ``RUNTIME[:PRECISION]`` whose artefact is evaluated in place of the checkpoint.
        max_minutes: Time budget.
        plugins: Files with further evaluators and dimensions.
        command: What the report calls the command that made it.

    Returns:
        The report; ``report["top1"].value``, ``report.axes["privacy"].score``, ``report.to_frame()``.

    Raises:
        Efficient360Error: A bad argument, checkpoint, data set or folder; with a stable ``code``, one sentence and a ``hint``.
    """
    require_in_range({"seed": (seed, 0, LARGEST_SEED), "batch_size": (batch_size, 1, 2**20), "max_examples": (max_examples, 1, 2**31)})
    if max_minutes is not None and not 0 < max_minutes < math.inf:
        raise SettingsError("bad-option", f"max_minutes is {max_minutes}", "give a number of minutes above 0")
    if (mean is None) != (std is None):
        raise SettingsError("bad-option", "mean and std go together, and only one of them is given", "give both")
    by_reference = isinstance(model, str | Path) and not is_in_memory(dataset)
    if by_reference:
        only_in_memory = {"transform": transform, "mean": mean, "class_names": class_names or None, "training": training, "groups": groups}
        for argument, given_value in only_in_memory.items():
            if given_value is not None:
                raise SettingsError("bad-option", f"{argument} is for a network or data in memory", "leave it out, or write it into the checkpoint's sidecar")
    files = tuple(map(user_path, plugins))
    known = evaluators(files)
    written = read_protocol(str(protocol), known)
    steps, unnamed = _steps(written, only, settings or {}, files, known)
    limit = max_examples or written.max_examples
    given = None
    reference, own_name = str(model), name_of(str(model))
    if unnamed or not by_reference:
        from efficient360.execution.handed_over import folder_name, hand_over
        from efficient360.models.in_memory import reference_of

        shape = None if isinstance(model, str | Path) else preprocessing
        given = hand_over(model, dataset, training, transform, shape, mean, std, class_names, groups, unnamed)
        if given.network is not None:
            reference, own_name = reference_of(given.network), folder_name(given.network)
    spec = dataset_spec_of(dataset, data_dir, split, image_column, label_column, group_columns, limit)
    if class_order not in ("", "data", "checkpoint"):
        raise SettingsError("bad-option", f"class_order is {class_order!r}", "give data or checkpoint, or leave it out")
    if spec is not None and (class_map is not None or class_order):
        named = read_class_map(Path(class_map)) if isinstance(class_map, str | Path) else dict(class_map or {})
        spec = dataclasses.replace(spec, class_map=named, class_order=class_order)
    plan = Plan(
        checkpoint=CheckpointSpec(
            reference,
            architecture,
            dict(arguments or {}),
            random_weights=random_weights,
            weights_key=_weights_key(weights_key, ema),
            seed=seed,
            output=str(output),
            preprocessing=preprocessing_given(preprocessing) if isinstance(model, str | Path) else {},
        ),
        dataset=spec,
        protocol=written.name,
        steps=steps,
        out=possible_path(out) if out is not None else _default_folder(name or own_name, spec, written.name, random_weights, deployment, max_examples),
        seed=seed,
        batch_size=batch_size,
        device=device,
        max_minutes=max_minutes,
        deployment=_checked_deployment(deployment),
        plugins=files,
        command=command,
    )
    with _listening(progress) as listen:
        if given is None:
            return RunReport(run_plan(plan, listen), plan.out)
        from efficient360.execution.runner import run

        writer = _ReportWriter(plan, listen)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the libraries' word to their developers, not to the user
            warnings.simplefilter("ignore", FutureWarning)
            run(plan, writer.take, given)
        return RunReport(writer.finished(), plan.out)


def load_report(folder: str | Path, plugins: Sequence[str | Path] = ()) -> RunReport:
    """The report of a finished or interrupted run, drawn anew from its stored outcomes; no model runs.

    Args:
        folder: The run's folder.
        plugins: Files with further dimensions.

    Raises:
        RunError: The folder holds no run, or one that can't be read.
    """
    place = user_path(folder)
    return RunReport(read(place, dimensions([user_path(path) for path in plugins])), place)


def compare(first: RunReport | str | Path, second: RunReport | str | Path, *others: RunReport | str | Path) -> RunComparison:
    """Two or more runs, every two of them: a verdict per axis and per metric, by paired tests over the examples that both kept values of.

    Args:
        first: A report, or the folder of a run.
        second: The one to compare it with.
        others: Further ones.

    Raises:
        RunError: A folder holds no run, or two of them share no metric.
    """
    from efficient360.reports.comparing.run import Run
    from efficient360.reports.comparison import compare_runs
    from efficient360.reports.run_comparison import RunComparison

    runs = [one if isinstance(one, RunReport) else load_report(one) for one in (first, second, *others)]
    return RunComparison(compare_runs([Run.of(run.report, run.folder) for run in runs]), [run.report for run in runs])


def run_plan(plan: Plan, listen: Listener) -> Report:
    """Run a plan in a worker process, and keep its folder's report up to date after every evaluator.

    Raises:
        Efficient360Error: As :func:`efficient360.execution.runner.run`.
    """
    return follow(plan, isolated(plan), listen)


def follow(plan: Plan, events: Iterable[Event], listen: Listener) -> Report:
    """Keep the folder's report up to date along a stream of events, and write its share card after the last one.

    Raises:
        RunError: The stream ends before anything was opened.
    """
    writer = _ReportWriter(plan, listen)
    for event in events:
        writer.take(event)
    return writer.finished()


@final
class _ReportWriter:
    """Writes the folder's report after every evaluator: what was measured is on disk before anybody hears of it."""

    def __init__(self, plan: Plan, listen: Listener) -> None:
        self._plan, self._listen = plan, listen
        self._axes, self._store = dimensions(plan.plugins), Store(plan.out)
        self._opened: Opened | None = None
        self._findings: tuple[Finding, ...] = ()
        self._report: Report | None = None

    def take(self, event: Event) -> None:
        """Bring the report up to date and pass the event on."""
        if isinstance(event, Opened):
            if self._opened is None:
                self._findings = findings_from_json(event.header.get("findings", []))
            self._opened = event
        if isinstance(event, Found):
            self._findings = tuple(event.findings)
        if isinstance(event, Opened | Finished | Found) and self._opened is not None:
            keys = self._opened.keys
            header = {**self._opened.header, "findings": self._findings}
            self._report = assemble(header, stored_records(self._store, keys), self._axes, list(keys))
            save(self._report, self._plan.out)
        self._listen(event)

    def finished(self) -> Report:
        """The report as it stands, its share card written.

        Raises:
            RunError: Nothing was opened.
        """
        if self._report is None:
            raise RunError("nothing-opened", "the run ended before anything was opened", "run it again")
        save_card(self._report, self._plan.out)
        return self._report


def preprocessing_given(preprocessing: Preprocessing | Mapping[str, Any] | None) -> dict[str, Any]:
    """A preprocessing, or some of its values, as plain data."""
    return dataclasses.asdict(preprocessing) if isinstance(preprocessing, Preprocessing) else dict(preprocessing or {})


def require_in_range(numbers: Mapping[str, tuple[int | None, int, int]]) -> None:
    """Refuse numbers outside of their range: by argument, the value, the least and the most it may be."""
    for name, (value, least, most) in numbers.items():
        if value is not None and not (isinstance(value, int) and least <= value <= most):
            raise SettingsError("bad-option", f"{name} is {shown(value)}", f"give a whole number from {least} to {most}")


def _steps(
    protocol: Protocol,
    only: Sequence[str | Evaluator | ExampleEvaluator],
    settings: Mapping[str, Mapping[str, Any]],
    files: Sequence[Path],
    known: dict[str, Entry],
) -> tuple[tuple[Step, ...], dict[str, Evaluator | ExampleEvaluator]]:
    """The evaluators to run with their settings, and those among them that no name stands for."""
    instances = {e.name: e for e in only if not isinstance(e, str)}
    unnamed = {name: e for name, e in instances.items() if name not in known or evaluator_class(name, known) is not type(e)}
    names = [e if isinstance(e, str) else e.name for e in only]
    origins = {str(path) for path in files}
    named = [name for name in names if name not in unnamed]
    steps = chosen(protocol, named, [e.name for e in known.values() if e.origin in origins], known) if named or not only else ()
    by_name = {step.evaluator: step for step in steps}
    by_name |= {name: Step(name, dataclasses.asdict(e)) for name, e in instances.items()}
    for name, evaluator in unnamed.items():
        configure(type(evaluator), by_name[name].settings)
        if name in settings:
            raise SettingsError("bad-option", f"settings names {name!r}, which was given as an instance", "give the instance those settings")
    ordered = tuple(by_name[name] for name in dict.fromkeys(names)) if only else tuple(by_name.values())
    return with_settings(ordered, settings), unnamed


@contextlib.contextmanager
def _listening(progress: bool | Listener) -> Iterator[Listener]:
    if progress is True:
        with listener(sys.stderr) as listen:
            yield listen
    else:
        yield progress or (lambda _event: None)


def is_in_memory(dataset: Any) -> bool:
    """Whether data were handed over, not named."""
    return dataset is not None and not isinstance(dataset, str | Path)


def dataset_spec_of(
    dataset: Any, data_dir: str | Path | None, split: str, image_column: str, label_column: str, group_columns: Sequence[str], limit: int | None
) -> DatasetSpec | None:
    """The data set that arguments name; ``None`` where they name none."""
    if dataset is None or dataset == "":
        return None
    if is_in_memory(dataset):
        return DatasetSpec("memory", max_examples=limit)
    folder = None if data_dir is None else possible_path(data_dir)
    kind, colon, location = str(dataset).partition(":")
    reference = f"{kind}:{possible_path(location)}" if colon and ALIASES.get(kind, kind) in LAYOUTS.keys() - {"hub"} else str(dataset)
    return DatasetSpec(reference, folder, split, image_column, label_column, tuple(group_columns), max_examples=limit)


def _weights_key(key: str, ema: bool) -> str:
    if ema:
        warnings.warn('ema=True is deprecated: give weights_key="ema"', DeprecationWarning, stacklevel=3)
    return key or ("ema" if ema else "")


def _checked_deployment(text: str) -> str:
    if text:
        from efficient360.deployment.runtimes.catalogue import target

        target(text)  # a bad name is refused before the work
    return text


def name_of(reference: str) -> str:
    """What a reference's run is called."""
    reference = reference.rstrip("/")
    return Path(reference).stem if Path(reference).suffix in (".safetensors", ".pth", ".pt", ".bin") else reference


def _default_folder(name: str, data: DatasetSpec | None, protocol: str, random_weights: bool, deployment: str, max_examples: int | None) -> Path:
    parts = [name]
    parts += ["random"] if random_weights else []
    parts += [Path(data.reference).name] if data is not None else []
    parts += [f"as-{deployment.replace(':', '-')}"] if deployment else []
    parts += [protocol] + ([f"n{max_examples}"] if max_examples else [])
    return Path("runs") / file_name("-".join(parts))
