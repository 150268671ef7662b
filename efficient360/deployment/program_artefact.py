"""A program file that somebody else exported (ONNX, TorchScript, ``torch.export``), running in a worker: what is evaluated in a checkpoint's place."""

import dataclasses
import json
import mmap
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

from efficient360.core.paths import user_path
from efficient360.core.reading import shown
from efficient360.deployment.artefact import DeployedModel, run_artefact
from efficient360.deployment.devices.worker import WorkerFailed
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Precision, files_digest
from efficient360.errors import CheckpointError
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin
from efficient360.models.outputs import logits_in, tensors_in
from efficient360.models.preprocessing import assumed_values, preprocessing_of
from efficient360.models.program_file import ProgramKind, program_digest, program_kind, require_harmless, weights_beside
from efficient360.models.sources import find_source
from efficient360.models.weights import checkpoint_digest

_RUNTIMES: Final = {ProgramKind.ONNX: "onnxruntime", ProgramKind.TORCHSCRIPT: "torch", ProgramKind.EXPORTED: "torch"}
_QUANTIZED: Final = re.compile(rb"\b(?:Dequantize|DynamicQuantize|MatMulNBits|QLinear(?:Conv|MatMul|Add|Mul)|QAttention|QGemm|MatMulInteger|ConvInteger)")
"""Operators of ONNX that compute with integers, as their names stand in a file."""
_ONNX_TYPES: Final = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


@dataclasses.dataclass(frozen=True)
class Program:
    """A program file, looked into.

    Args:
        path: The file.
        kind: What it is.
        batch: Images in a call.
        size: ``(3, H, W)`` where the file says it.
        dtype: NumPy's name of the type of its input.
        last: Whether channels come last in its input.
        output: Which of its outputs are the logits, ``""`` for the only one.
        precision: What it computes in: int8 where an ONNX graph quantizes, else the type of its input.
    """

    path: Path
    kind: ProgramKind
    batch: int = 1
    size: tuple[int, int, int] | None = None
    dtype: str = "float32"
    last: bool = False
    output: str = ""
    precision: Precision = Precision.FP32


def is_program(spec: CheckpointSpec) -> bool:
    """Whether a reference names a program file, and no architecture into which weights would be read from it."""
    return not spec.architecture and not spec.random_weights and program_kind(user_path(spec.reference.strip())) is not None


@contextmanager
def open_program(spec: CheckpointSpec, folder: Path) -> Iterator[tuple[Checkpoint, "RunnableProgram"]]:
    """The checkpoint that stands for a program file, and the means to run it.

    Args:
        spec: Its reference; ``output`` and ``preprocessing`` say what the file does not.
        folder: Where its artefact is kept.

    Raises:
        CheckpointError: It is damaged, does more than compute (``unsafe-program``), takes no images, or returns no logits.
    """
    program = _looked_into(user_path(spec.reference.strip()), spec)
    source = find_source(spec)
    declared = {} if program.size is None else {"input_size": program.size}
    sidecar = dataclasses.replace(source.sidecar, preprocessing={**declared, **source.sidecar.preprocessing})
    preprocessing = preprocessing_of(program.kind.value, sidecar, spec)
    runnable = RunnableProgram(program, preprocessing.mean, preprocessing.std, preprocessing.input_size, folder)
    classes = runnable.classes()
    sidecar.require_names_of(classes, spec.reference)
    yield (
        Checkpoint(
            spec=spec,
            name=source.name,
            architecture=f"{program.kind.value} program",
            arguments={},
            origin=Origin.FILE,
            path=program.path,
            digest=checkpoint_digest(program_digest(program.path), "", spec.output),
            preprocessing=preprocessing,
            num_classes=classes,
            class_names=sidecar.class_names,
            card={**sidecar.card, "format": program.kind.value},
            assumed=assumed_values(program.kind.value, sidecar, spec),
        ),
        runnable,
    )


@dataclasses.dataclass(frozen=True)
class RunnableProgram:
    """A program with its preprocessing.

    Args:
        program: The file.
        mean: Per-channel mean that its images are normalised with.
        std: Per-channel deviation.
        size: ``(3, H, W)``.
        folder: Where its artefact is kept.
    """

    program: Program
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int, int]
    folder: Path

    def artefact(self, keep: tuple[int, ...] | None) -> Artefact:
        """The program as an artefact of the runtime that runs it, of the outputs that are kept."""
        program = self.program
        target = self.folder / f"program-{program_digest(program.path)[:12]}"
        target.mkdir(parents=True, exist_ok=True)
        for file in (program.path, *weights_beside(program.path)):
            if not (target / file.name).is_file():
                shutil.copyfile(file, target / file.name)
        prepare = {"mean": self.mean, "std": self.std, "dtype": program.dtype, "last": program.last, "keep": keep}
        settings: dict[str, Any] = {"model": program.path.name, "prepare": json.dumps(prepare), "output": program.output}
        if program.kind is not ProgramKind.ONNX:
            settings |= {"device": "cpu", "script": program.kind is ProgramKind.TORCHSCRIPT}
        digest, size = files_digest(target)
        runtime = _RUNTIMES[program.kind]
        versions = catalogue.versions(catalogue.runtime(runtime))
        return Artefact(
            runtime, program.precision, program.batch, self.size, target, digest, size, versions, 0.0, Converted(settings, {"file": program.path.name})
        )

    def classes(self) -> int:
        """Length of a row of logits, by running it on one grey image.

        Raises:
            CheckpointError: It can't be run, or returns no logits.
        """
        try:
            with run_artefact(self.artefact(None), 0) as running:
                logits = running(torch.full((1, *self.size), 0.5))
        except WorkerFailed as error:
            size = " x ".join(map(str, self.size))
            message = f"{self.program.path} can't run on an image of {size}: {error.message}"
            raise CheckpointError("network-fails", message, "name the size that it was exported for, --preprocess input_size=N") from error
        if logits.ndim != 2 or logits.shape[1] < 2:
            message = f"{self.program.path} returned an array of shape {tuple(logits.shape)} for one image"
            raise CheckpointError("logits-shape", message, "give a classifier that returns logits (B, K) with at least two classes")
        return int(logits.shape[1])

    @contextmanager
    def running(self, classes: int, keep: tuple[int, ...] | None) -> Iterator[DeployedModel]:
        """The program in a worker, ended afterwards."""
        with run_artefact(self.artefact(keep), classes if keep is None else len(keep)) as model:
            yield model


def _looked_into(path: Path, spec: CheckpointSpec) -> Program:
    kind = program_kind(path)
    assert kind is not None
    require_harmless(path, kind)
    if kind is ProgramKind.ONNX:
        return _onnx(path, spec)
    return _exported(path, spec) if kind is ProgramKind.EXPORTED else _script(path, spec)


def _onnx(path: Path, spec: CheckpointSpec) -> Program:
    runtime = catalogue.runtime("onnxruntime")
    try:
        import onnxruntime
    except ImportError as error:
        message = f"{path} is an ONNX file, and ONNX Runtime is not installed"
        raise CheckpointError("runtime-not-installed", message, catalogue.how_to_get(runtime)) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own error types are many and not public
        message = f"{path} can't be opened by ONNX Runtime: {' '.join(str(error).split())[:200]}"
        raise CheckpointError("weights-truncated", message, "export it again; weights outside the file belong beside it as FILE.onnx.data") from error
    given, returned = session.get_inputs(), session.get_outputs()
    shape = list(given[0].shape)
    if len(given) != 1 or len(shape) != 4 or given[0].type not in _ONNX_TYPES or not {3} & {shape[1], shape[3]} - {None}:
        inputs = ", ".join(f"{value.name} {value.type} {value.shape}" for value in given)
        raise CheckpointError("not-rgb", f"{path} takes {inputs}, where one batch of images of three channels is wanted", "export an image classifier")
    last = shape[1] != 3
    sides = shape[1:3] if last else shape[2:]
    fixed = all(isinstance(side, int) for side in sides)
    shapes = {value.name: tuple(side if isinstance(side, int) else 1 for side in value.shape) for value in returned}
    output = _chosen({name: torch.empty(shape) for name, shape in shapes.items()}, spec.output) if len(shapes) > 1 or spec.output else returned[0].name
    batch = shape[0] if isinstance(shape[0], int) else 1
    size = (3, sides[0], sides[1]) if fixed else None
    return Program(path, ProgramKind.ONNX, batch, size, _ONNX_TYPES[given[0].type], last, output, _onnx_precision(path, given[0].type))


def _onnx_precision(path: Path, type_of_input: str) -> Precision:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if _QUANTIZED.search(data):
            return Precision.INT8
    return Precision.FP16 if type_of_input == "tensor(float16)" else Precision.FP32


def _exported(path: Path, spec: CheckpointSpec) -> Program:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(path)
        node = next(node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
        shape = [side if isinstance(side, int) else None for side in node.meta["val"].shape]
        dtype = str(node.meta["val"].dtype).removeprefix("torch.")
    except Exception as error:  # damaged files fail in any way
        message = f"{path} can't be loaded by torch.export: {' '.join(str(error).split())[:200]}"
        raise CheckpointError("weights-truncated", message, "export it again with the torch that is installed here") from error
    if len(shape) != 4 or shape[1] != 3:
        raise CheckpointError("not-rgb", f"{path} takes a tensor of shape {shown(shape)}, where images (B, 3, H, W) are wanted", "export an image classifier")
    size = (3, shape[2], shape[3]) if shape[2] is not None and shape[3] is not None else None
    batch = shape[0] or 1
    found = Program(path, ProgramKind.EXPORTED, batch, size, dtype)
    with torch.no_grad():
        answer = program.module()(torch.full((batch, *(size or (3, 224, 224))), 0.5, dtype=getattr(torch, dtype)))
    return dataclasses.replace(found, output=_path_to(answer, spec.output))


def _script(path: Path, spec: CheckpointSpec) -> Program:
    try:
        module: Any = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except Exception as error:  # damaged files fail in any way
        message = f"{path} can't be loaded as TorchScript: {' '.join(str(error).split())[:200]}"
        raise CheckpointError("weights-truncated", message, "save it again with torch.jit.save") from error
    size = preprocessing_of(ProgramKind.TORCHSCRIPT.value, find_source(spec).sidecar, spec).input_size
    try:
        with torch.no_grad():
            answer = module.eval()(torch.full((1, *size), 0.5))
    except Exception as error:  # whatever its program raises
        message = f"{path} can't run on an image of {' x '.join(map(str, size))} ({' '.join(str(error).split())[-160:]})"
        raise CheckpointError("network-fails", message, "name the size that it was exported for, --preprocess input_size=N") from error
    return Program(path, ProgramKind.TORCHSCRIPT, output=_path_to(answer, spec.output))


def _path_to(answer: Any, wanted: str) -> str:
    """Where in an answer the logits are, ``""`` where it is the logits itself."""
    if isinstance(answer, torch.Tensor) and not wanted:
        return ""
    logits = logits_in(answer, wanted)
    return wanted or next(name for name, tensor in tensors_in(answer) if tensor is logits)


def _chosen(outputs: Mapping[str, torch.Tensor], wanted: str) -> str:
    """The name of an ONNX file's output: its own names, or its place among them."""
    names = list(outputs)
    if wanted.isdecimal() and wanted not in outputs and int(wanted) < len(names):
        return names[int(wanted)]
    logits = logits_in(outputs, wanted)
    return next(name for name, tensor in outputs.items() if tensor is logits)
