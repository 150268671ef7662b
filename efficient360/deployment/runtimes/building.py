"""From a program to an artefact, in a process of its own: converters crash, hang and grow. What was built once is taken from its folder."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import Failure, Status
from efficient360.core.paths import file_name
from efficient360.core.processes import ending, last_words
from efficient360.core.program_start import end_all, start
from efficient360.core.reading import Reader
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.program import export_called, export_program, samples_of
from efficient360.deployment.runtimes.runtime import Artefact, Precision, files_digest
from efficient360.deployment.runtimes.runtime_code import conversion_code, preparation_code
from efficient360.deployment.runtimes.signature import Signature
from efficient360.errors import RunError, Unsupported

_PROCESS: Final = "efficient360.deployment.runtimes.build_process"
RECORD = "artefact.json"


@final
@dataclass(frozen=True)
class ModelSource:
    """A network to build artefacts of.

    Args:
        identity: Digest of all that makes the program (weights, architecture, preprocessing, kept outputs): what may share stored artefacts.
        module: Pixels in [0, 1] to logits; ``torch.nn.Module``.
        size: ``(3, H, W)``.
        calibration: Images float32 ``(n, 3, H, W)`` in [0, 1] for the precisions that are calibrated; ``None`` where there are none.
        folder: Where programs and artefacts are kept.
        float_layers: Linear layers and convolutions left in float by quantized precisions, by their names among the module's; besides those that
            ``int8-smooth`` leaves by itself.
        signature: For a network that takes no images: what it takes and returns. ``size`` then is ``NO_IMAGES``, and ``calibration`` an array for each
            input, calls along its first axis (:func:`~efficient360.deployment.runtimes.signature.stacked`).
    """

    identity: str
    module: Any
    size: tuple[int, int, int]
    calibration: NDArray[np.float32] | Mapping[str, NDArray[Any]] | None
    folder: Path
    float_layers: tuple[str, ...] = ()
    signature: Signature | None = None


def build(source: ModelSource, runtime: str, precision: Precision, batch: int = 1, timeout: float = 900.0) -> Artefact | Failure:
    """Convert a network for a runtime, or take what an earlier call with the same input left.

    Args:
        source: The network.
        runtime: Name of a runtime, or a plug-in's file.
        precision: One of the runtime's.
        batch: Images in a call.
        timeout: Seconds a conversion may take.

    Returns:
        The artefact; or ``unsupported`` with the operator or reason, ``failed`` when the converter crashed, hung or raised.
    """
    converter = catalogue.runtime(runtime)
    if absent := catalogue.missing(converter):
        message = f"{converter.title} can't be converted for: {', '.join(absent)} not installed"
        return Failure(Status.UNSUPPORTED, "runtime-not-installed", message, catalogue.how_to_get(converter))
    if precision not in converter.precisions:
        return Failure(Status.UNSUPPORTED, "no-precision", f"{converter.title} has no {precision} on a CPU", f"it has {', '.join(converter.precisions)}")
    if source.signature is not None and not converter.any_program:
        message = f"{converter.title} is only given image classifiers here"
        return Failure(Status.UNSUPPORTED, "no-other-inputs", message, f"take one of {', '.join(catalogue.for_any_program())}")
    if source.signature is not None and precision.prepared:
        message = f"{precision} is calibrated for image classifiers alone, not for programs with inputs of their own"
        return Failure(Status.UNSUPPORTED, "no-precision", message, "take int8, int8-dynamic, w8 or w4")
    if converter.largest_batch is not None and batch > converter.largest_batch:
        return Failure(Status.UNSUPPORTED, "no-batch", f"{converter.title} runs at most {converter.largest_batch} image at a time", "take batch 1")
    if precision.calibrated and source.calibration is None:
        return Failure(Status.UNSUPPORTED, "no-calibration", f"{precision} wants images to calibrate with, and no data set was given", "add --dataset")
    key = _key(source, runtime, precision, batch)
    folder = source.folder / f"{file_name(Path(runtime).stem)}-{precision}-b{batch}-{key}"
    if (kept := _kept(folder)) is not None:
        return kept
    try:
        program = _program(source, batch)
    except Unsupported as error:
        return Failure.of(Status.UNSUPPORTED, error)
    return _converted(source, (runtime, precision, batch), program, folder, timeout)


def _kept(folder: Path) -> Artefact | Failure | None:
    """What an earlier conversion left, ``None`` where there was none or what it left can't be read."""
    try:
        data = _READER.from_json(_READER.read_bytes(folder / RECORD), folder)
        return Artefact.from_json(data, folder / "files") if "error" not in data else _failure(data)
    except (RunError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _failure(data: dict[str, Any]) -> Failure:
    return Failure(**data["error"] | {"status": Status(data["error"]["status"])})


_READER: Final = Reader(RunError, "unreadable-run", "delete it, and convert again")


def _key(source: ModelSource, runtime: str, precision: Precision, batch: int) -> str:
    converter = catalogue.runtime(runtime)
    calibration = "" if not precision.calibrated or source.calibration is None else _arrays_digest(source.calibration)
    code = conversion_code(runtime)
    versions = [dict(code.libraries), catalogue.versions(converter)]
    in_float = sorted(source.float_layers) if precision.quantized else []
    what = [precision, batch, calibration, in_float, *_signature(source)]
    parts = [source.identity, list(source.size), Path(runtime).stem, converter.version, code.digest, versions, *what]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _signature(source: ModelSource) -> list[Any]:
    return [] if source.signature is None else [source.signature.to_json()]


def _arrays_digest(arrays: NDArray[np.float32] | Mapping[str, NDArray[Any]]) -> str:
    if not isinstance(arrays, Mapping):
        return hashlib.sha256(arrays.tobytes()).hexdigest()
    whole = hashlib.sha256()
    for name in sorted(arrays):
        whole.update(json.dumps([name, str(arrays[name].dtype), list(arrays[name].shape)]).encode() + arrays[name].tobytes())
    return whole.hexdigest()


def _shared(source: ModelSource, batch: int) -> Path:
    identity = hashlib.sha256(json.dumps([source.identity, list(source.size), *_signature(source)]).encode()).hexdigest()[:16]
    return source.folder / f"shared-b{batch}-{identity}"


def _prepared(source: ModelSource, precision: Precision, shared: Path) -> str | None:
    """Folder of the program that is made ready for a precision, for all runtimes; ``None`` where it is taken as it is."""
    if not precision.prepared or source.calibration is None:
        return None
    code = preparation_code()
    parts = [code.digest, dict(code.libraries), _arrays_digest(source.calibration), sorted(source.float_layers)]
    return str(shared / f"{precision.prepared}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}")


def _program(source: ModelSource, batch: int) -> Path:
    path = _shared(source, batch) / "program.pt2"
    if not path.is_file() and source.signature is not None:
        export_called(source.module, samples_of(source.signature), path)
    elif not path.is_file():
        export_program(source.module, source.size, batch, path)
    return path


def _converted(source: ModelSource, what: tuple[str, Precision, int], program: Path, folder: Path, timeout: float) -> Artefact | Failure:
    runtime, precision, batch = what
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "files").mkdir(parents=True)
    calibration = None
    if precision.calibrated and source.calibration is not None:
        calibration = _write_calibration(source.calibration, part)
    request = {
        "runtime": runtime,
        "precision": precision,
        "batch": batch,
        "size": source.size,
        "program": str(program),
        "calibration": None if calibration is None else str(calibration),
        "shared": str(program.parent),
        "folder": str(part / "files"),
        "float_layers": sorted(source.float_layers) if precision.quantized else [],
        "prepared": _prepared(source, precision, program.parent),
        "signature": None if source.signature is None else source.signature.to_json(),
    }
    began = time.monotonic()
    answer = _ask(request, timeout)
    if isinstance(answer, Failure):
        if answer.status is Status.UNSUPPORTED:  # the same input gives the same answer: kept like an artefact
            _keep(part, folder, {"error": dataclasses.asdict(answer)}, calibration)
        return answer
    digest, size = files_digest(part / "files")
    versions = catalogue.versions(catalogue.runtime(runtime))
    data = {
        "runtime": runtime,
        "precision": precision,
        "batch": batch,
        "size": list(source.size),
        "digest": digest,
        "bytes": size,
        "converter": versions,
        "seconds": time.monotonic() - began,
        "converted": answer,
    } | ({} if source.signature is None else {"signature": source.signature.to_json()})
    _keep(part, folder, data, calibration)
    return Artefact.from_json(json.loads(json.dumps(data)), folder / "files")


def _write_calibration(arrays: NDArray[np.float32] | Mapping[str, NDArray[Any]], folder: Path) -> Path:
    if not isinstance(arrays, Mapping):
        np.save(folder / "calibration.npy", arrays)
        return folder / "calibration.npy"
    named: dict[str, Any] = dict(arrays)
    np.savez(folder / "calibration.npz", **named)
    return folder / "calibration.npz"


def _keep(part: Path, folder: Path, record: dict[str, Any], calibration: Path | None) -> None:
    if calibration is not None:
        calibration.unlink()
    (part / RECORD).write_text(json.dumps(record), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)


def _run(request: bytes, timeout: float) -> tuple[int, str]:
    """Exit code of the process that converts, and what it printed; it and all that it started are gone afterwards."""
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(request)
        asked.seek(0)
        process = start(_PROCESS, asked.fileno(), said.fileno())
        try:
            code = process.wait(timeout)
        except BaseException:
            end_all(process)
            raise
        said.seek(0)
        return code, said.read().decode(errors="replace")


def _ask(request: dict[str, Any], timeout: float) -> dict[str, Any] | Failure:
    title = catalogue.runtime(request["runtime"]).title
    try:
        code, said = _run(json.dumps(request).encode(), timeout)
    except subprocess.TimeoutExpired:
        return Failure(Status.FAILED, "conversion-hung", f"converting for {title} took longer than {timeout:.0f} s", "raise the time limit")
    answer = Path(request["folder"]).parent / "answer.json"
    if code or not answer.is_file():
        message = f"the converter for {title} {ending(code)}{last_words(said)}"
        return Failure(Status.FAILED, "conversion-crashed", message, "the other runtimes are not touched by it")
    data: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    answer.unlink()
    if "error" in data:
        return _failure(data)
    return data
