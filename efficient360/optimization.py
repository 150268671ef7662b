"""The front door of co-design for Python: the variant of a model to ship. Importing it imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from efficient360.api import dataset_spec_of, is_in_memory, name_of, preprocessing_given, require_in_range
from efficient360.core.paths import file_name, possible_path
from efficient360.core.settings import LARGEST_SEED
from efficient360.errors import SettingsError
from efficient360.models.checkpoint import CheckpointSpec, Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from efficient360.codesign.goal import Goal
    from efficient360.codesign.vision.optimize import Optimized, Watching


def optimize(
    model: str | Path | nn.Module,
    dataset: Any,
    *,
    goals: Sequence[str | Goal] = (),
    max_latency: str = "",
    max_size: str = "",
    max_memory: str = "",
    max_drop: str = "",
    device: str = "local",
    runtimes: Sequence[str] = (),
    threads: int = 0,
    keep: Sequence[str] = (),
    budget: str = "30min",
    trials: int | None = None,
    recover: str = "",
    keep_going: bool = False,
    out: str | Path | None = None,
    progress: Watching | None = None,
    transform: Callable[[Any], Any] | None = None,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    class_names: Sequence[str] = (),
    training: Any = None,
    architecture: str = "",
    arguments: Mapping[str, Any] | None = None,
    weights_key: str = "",
    output: str | int = "",
    data_dir: str | Path | None = None,
    split: str = "",
    image_column: str = "",
    label_column: str = "",
    max_examples: int | None = None,
    seed: int = 0,
    command: str = "",
) -> Optimized:
    """Find the variant of a model to ship on a device: compressed, compiled and measured together until it meets its goals.

    Everything is kept in a folder that a second call takes up: ``model/`` with the artefact, its card and ``run.py``, or ``misses/`` where nothing meets the
    goals; ``result.json``, ``index.html``, ``trials.jsonl``.

    Args:
        model: As :func:`efficient360.api.evaluate` takes it, but for artefacts and programs, which can't be changed any more.
        dataset: Likewise. Images of its training split calibrate and train; the evaluated split is divided into images that select and others that judge.
        goals: Bounds such as ``"latency_p50<10ms"``, ``"top1>=97%"``, ``"top1_drop<1pt"``. Without one on accuracy, 1 pt may be lost.
        max_latency: Limit of ``latency_p50``, such as ``"5ms"``.
        max_size: Limit of ``artefact_bytes``, such as ``"2MB"``.
        max_memory: Limit of ``runtime_memory``, such as ``"64MB"``.
        max_drop: Limit of ``top1_drop``, such as ``"1pt"``.
        device: Where it will run, measured there: ``local``, ``limited:…``, ``ssh://…``, ``adb://…``.
        runtimes: ``runtime`` or ``runtime:precision``; by default LiteRT, OpenVINO and ONNX Runtime, as far as they are installed.
        threads: Threads for a runtime; 0 tries one and as many as the device has cores.
        keep: Knobs that must stay as they are, such as ``"input_size"``.
        budget: Time for the search.
        trials: Candidates to try at most.
        recover: Time to train each cut network that is fast enough; ``""`` trains none.
        keep_going: Whether the search goes on improving once the goals are met.
        out: The search's folder; by default ``runs/NAME-DATASET-optimized``.
        progress: Who is told of the progress.
        transform: As :func:`efficient360.api.evaluate` takes it; so are the arguments from here on.
        preprocessing: Likewise.
        class_names: Likewise.
        training: Likewise.
        architecture: Likewise.
        arguments: Likewise.
        weights_key: Likewise.
        output: Likewise.
        data_dir: Likewise.
        split: Likewise.
        image_column: Likewise.
        label_column: Likewise.
        max_examples: Likewise.
        seed: Of the division of the images, the proposals and the training.
        command: What the page calls the command that made it.

    Returns:
        What was found: ``.met``, ``.folders``, ``.result`` with every trial.

    Raises:
        Efficient360Error: A bad argument, checkpoint, data set or folder, or a device that is gone; the trials are kept, and the same call goes on.
    """
    from efficient360.codesign.budget import Budget
    from efficient360.codesign.goal import Goal
    from efficient360.codesign.goals import parse_goal
    from efficient360.codesign.quantity import parse_duration
    from efficient360.codesign.vision.metrics import COSTS, QUALITIES
    from efficient360.codesign.vision.optimize import Order
    from efficient360.codesign.vision.optimize import optimize as search
    from efficient360.methods.distillation.recovery import Recovery

    require_in_range({"seed": (seed, 0, LARGEST_SEED), "max_examples": (max_examples, 1, 2**31), "threads": (threads, 0, 4096)})
    limits = {"latency_p50": max_latency, "artefact_bytes": max_size, "runtime_memory": max_memory, "top1_drop": max_drop}
    metrics = (*COSTS, *QUALITIES)
    typed = [f"{metric}<={limit}" for metric, limit in limits.items() if limit]
    wanted = [goal if isinstance(goal, Goal) else parse_goal(goal, metrics) for goal in (*typed, *goals)]
    spent = Budget(parse_duration(budget) if budget else None, trials, keep_going=keep_going)
    given, reference, own_name = None, str(model), name_of(str(model))
    if not isinstance(model, str | Path) or is_in_memory(dataset):
        from efficient360.execution.handed_over import folder_name, hand_over
        from efficient360.models.in_memory import reference_of

        shape = None if isinstance(model, str | Path) else preprocessing
        given = hand_over(model, dataset, training, transform, shape, None, None, class_names, None, {})
        if given.network is not None:
            reference, own_name = reference_of(given.network), folder_name(given.network)
    data = dataset_spec_of(dataset, data_dir, split, image_column, label_column, (), max_examples)
    if data is None:
        raise SettingsError("no-dataset", "variants can't be judged without images", "add --dataset")
    spec = CheckpointSpec(
        reference,
        architecture,
        dict(arguments or {}),
        weights_key=weights_key,
        seed=seed,
        output=str(output),
        preprocessing=preprocessing_given(preprocessing) if isinstance(model, str | Path) else {},
    )
    folder = possible_path(out) if out is not None else Path("runs") / file_name(f"{own_name}-{Path(data.reference).name}-optimized")
    recovery = Recovery(minutes=parse_duration(recover) / 60, seed=seed) if recover else None
    order = Order(spec, data, tuple(wanted), device, folder, spent, tuple(runtimes), threads, recovery, tuple(keep), seed, command=command)
    return search(order, progress, given)
