"""The contract of a runtime: an exported program in, an artefact out. Running it is the matter of ``kit/sessions``."""

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import Scalar
from efficient360.deployment.runtimes.signature import Call, Signature


class Precision(StrEnum):
    """The arithmetic of an artefact."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    W16 = "w16"
    """Weights stored in fp16, brought to float32 for computing: half the file, the arithmetic of fp32."""
    W8 = "w8"
    """Weights stored in 8 bits by output channel, computing in float32."""
    INT8_DYNAMIC = "int8-dynamic"
    """Weights in 8 bits by output channel, activations brought to 8 bits by the range of each call: products of integers without calibration."""
    INT8_SMOOTH = "int8-smooth"
    """As ``int8``, after outliers have been migrated from activations to weights, with the layers left in float that 8 bits harm most."""
    INT8 = "int8"
    """Weights and activations in 8 bits, static post-training quantization with calibration images from least to most, by the runtime's own quantizer."""
    W4_GPTQ = "w4-gptq"
    """As ``w4``, each weight rounded so that it makes up for the errors of those before it on calibration images."""
    W4 = "w4"
    """Weights of linear layers stored in 4 bits by groups of inputs, rounded to nearest, computing in float32."""
    INT4_DYNAMIC = "int4-dynamic"
    """The weights of ``w4-gptq``, with activations brought to 8 bits by the range of each call: products of integers."""

    @property
    def calibrated(self) -> bool:
        """Whether converting to it takes calibration images."""
        return self in {Precision.INT8, Precision.INT8_SMOOTH, Precision.W4_GPTQ, Precision.INT4_DYNAMIC}

    @property
    def prepared(self) -> str:
        """What is done to the program before a runtime sees it, ``""`` for nothing; the same for all runtimes."""
        if self is Precision.INT8_SMOOTH:
            return "smooth"
        return "gptq" if self in {Precision.W4_GPTQ, Precision.INT4_DYNAMIC} else ""

    @property
    def quantized(self) -> bool:
        """Whether weights are integers, so that layers may be left in float."""
        return self not in {Precision.FP32, Precision.FP16, Precision.BF16, Precision.W16}


@final
@dataclass(frozen=True)
class Build:
    """What a runtime is asked to convert.

    Args:
        precision: One of the runtime's own.
        batch: Images in a call; the artefact takes exactly so many.
        size: ``(3, H, W)``.
        program: ``torch.export`` program on disk, pixels float32 ``(batch, 3, H, W)`` in [0, 1] to logits ``(batch, K)``, normalisation inside.
        calibration: ``.npy`` of images float32 ``(n, 3, H, W)`` in [0, 1]; given whenever ``precision`` is calibrated.
        shared: Folder of intermediate products that several runtimes use (``model.onnx``), of this program and batch alone.
        folder: Empty folder for what a device needs to run it.
        float_layers: Linear layers and convolutions that stay in float where the precision is quantized, by their names in the network.
        signature: What a program takes and returns that is no image classifier; ``size`` then is ``NO_IMAGES``, ``batch`` 1, and ``calibration`` an ``.npz``
            with an array for each input, calls along its first axis.
    """

    precision: Precision
    batch: int
    size: tuple[int, int, int]
    program: Path
    calibration: Path | None
    shared: Path
    folder: Path
    float_layers: tuple[str, ...] = ()
    signature: Signature | None = None

    def calibration_inputs(self, name: str) -> Iterator[Call]:
        """The calibration calls by names of inputs.

        Args:
            name: Of the one input of an image classifier, in the caller's format.

        Raises:
            ValueError: There is nothing to calibrate with.
        """
        if self.signature is None:
            yield from ({name: images} for images in self.calibration_calls())
            return
        if self.calibration is None:
            raise ValueError(f"{self.precision} needs calls to calibrate with")
        with np.load(self.calibration) as arrays:
            stacks = {spec.name: arrays[spec.name] for spec in self.signature.inputs}
        for call in range(len(stacks[self.signature.names[0]])):
            yield {spec: np.ascontiguousarray(stack[call]) for spec, stack in stacks.items()}

    def calibration_calls(self) -> Iterator[NDArray[np.float32]]:
        """The calibration images in whole calls; the last is filled up from the first images, so that each is seen.

        Yields:
            Images float32 ``(batch, 3, H, W)``.

        Raises:
            ValueError: There are no calibration images.
        """
        if self.calibration is None:
            raise ValueError(f"{self.precision} needs calibration images")
        images = np.load(self.calibration)
        for start in range(0, len(images), self.batch):
            yield np.ascontiguousarray(images.take(range(start, start + self.batch), axis=0, mode="wrap"))


@final
@dataclass(frozen=True)
class Delegation:
    """How much of a graph the runtime's fast path takes (XNNPACK partitions, an execution provider, a delegate).

    Args:
        to: What takes it.
        delegated: Operators taken.
        total: Operators in all.
        partitions: Pieces the graph falls into on the fast path.
        left: Operators not taken, by kind with their number.
        macs_share: Share of the MACs taken, in [0, 1]; ``None`` where it can't be told.
    """

    to: str
    delegated: int
    total: int
    partitions: int
    left: Mapping[str, int] = field(default_factory=dict)
    macs_share: float | None = None


@final
@dataclass(frozen=True)
class Converted:
    """What :meth:`Runtime.convert` hands back.

    Args:
        settings: Handed to the session as they are (file names, options): plain JSON.
        facts: What a reader should know of the conversion (exporter, rewrites, tuned or not): plain JSON.
        delegation: Where the converter itself tells it.
    """

    settings: Mapping[str, Scalar]
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    delegation: Delegation | None = None


class Runtime(ABC):
    """How a library converts a program. Stateless; every import of the library happens inside :meth:`convert`."""

    name: ClassVar[str]
    """Stable name, also that of its file and of its session (``onnxruntime``)."""
    title: ClassVar[str]
    """As its makers write it (``ONNX Runtime``)."""
    extra: ClassVar[str]
    """Extra of this package that installs it; ``""`` when it comes with the package itself."""
    converts_with: ClassVar[tuple[str, ...]]
    """Importable modules that converting needs."""
    precisions: ClassVar[tuple[Precision, ...]]
    """What it truly has on a CPU, the most exact first."""
    version: ClassVar[int] = 1
    """Raised whenever a conversion gives another artefact for the same library: it retires stored artefacts."""
    any_program: ClassVar[bool] = False
    """Whether it converts programs with a :class:`~efficient360.deployment.runtimes.signature.Signature` too, not image classifiers alone."""
    largest_batch: ClassVar[int | None] = None
    """Most images in a call, ``None`` where there is no limit."""
    session: ClassVar[Path | None] = None
    """File of its session where it is not ``kit/sessions/NAME.py`` (plug-ins)."""
    hint: ClassVar[str] = ""
    """How to get it, where the extra alone does not."""

    @abstractmethod
    def convert(self, build: Build) -> Converted:
        """Write into ``build.folder`` what a device needs.

        Raises:
            Unsupported: The runtime lacks an operator or a form that the program needs; the message names it.
        """

    def unavailable(self) -> str:
        """Why this machine can't run it although its library may be there; ``""`` where nothing speaks against it. Another device may still run it."""
        return ""


def named(build: Build) -> dict[str, Scalar]:
    """What the session of a program that is no image classifier must know: its inputs and outputs by name, in order. Nothing for an image classifier."""
    return {} if build.signature is None else {"signature": json.dumps(build.signature.to_json())}


def no_cuda() -> str:
    """What :meth:`Runtime.unavailable` says where no NVIDIA driver shows a GPU (a Jetson's or Windows's included), told without importing a library."""
    devices = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/dxg")
    return "" if any(Path(device).exists() for device in devices) else "this machine has no CUDA device"


@final
@dataclass(frozen=True)
class Artefact:
    """A converted program on disk, and all that is needed to run it.

    Args:
        runtime: Name of the runtime.
        precision: Arithmetic.
        batch: Images in a call.
        size: ``(3, H, W)``.
        folder: Where its files lie.
        digest: SHA-256 over names and bytes of its files.
        bytes: Their sizes together.
        converter: Versions of what converted it, by module.
        seconds: What the conversion took.
        converted: Settings of the session, facts, delegation.
        signature: What it takes and returns where it is no image classifier.
    """

    runtime: str
    precision: Precision
    batch: int
    size: tuple[int, int, int]
    folder: Path
    digest: str
    bytes: int
    converter: Mapping[str, str]
    seconds: float
    converted: Converted
    signature: Signature | None = None

    @property
    def label(self) -> str:
        """``runtime:precision``, as ``--as`` takes it."""
        return f"{self.runtime}:{self.precision}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data without the folder, which may move."""
        data = dataclasses.asdict(self)
        del data["folder"]
        if self.signature is None:
            del data["signature"]
        return data | ({} if self.signature is None else {"signature": self.signature.to_json()})

    @classmethod
    def from_json(cls, data: Mapping[str, Any], folder: Path) -> "Artefact":
        """What :meth:`to_json` wrote, now lying in ``folder``."""
        converted = dict(data["converted"])
        if converted["delegation"] is not None:
            converted["delegation"] = Delegation(**converted["delegation"])
        width, height, depth = data["size"]
        plain = {**data, "precision": Precision(data["precision"]), "size": (width, height, depth), "converted": Converted(**converted)}
        if "signature" in plain:
            plain["signature"] = Signature.from_json(plain["signature"])
        return cls(folder=folder, **plain)


def files_digest(folder: Path) -> tuple[str, int]:
    """SHA-256 over the names and bytes of a folder's files in order of name, and their sizes together."""
    sha, size = hashlib.sha256(), 0
    for file in sorted(f for f in folder.rglob("*") if f.is_file()):
        data = file.read_bytes()
        sha.update(json.dumps([file.relative_to(folder).as_posix(), len(data)]).encode())
        sha.update(data)
        size += len(data)
    return sha.hexdigest(), size
