"""ncnn, converted from a trace of the program by pnnx."""

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, final

from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime
from efficient360.errors import Unsupported

MODEL = "model"


@final
class Ncnn(Runtime):
    """Its tensors have at most four dimensions, none of which is the batch; so heads are split in four, and one image is a call.

    In bf16 weights and activations are stored so when they are loaded; the artefact is that of fp32.
    """

    name: ClassVar[str] = "ncnn"
    title: ClassVar[str] = "ncnn"
    extra: ClassVar[str] = "ncnn"
    converts_with: ClassVar[tuple[str, ...]] = ("pnnx", "ncnn")
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.BF16)
    largest_batch: ClassVar[int | None] = 1

    def convert(self, build: Build) -> Converted:
        """Write ``model.param`` and ``model.bin``."""
        from efficient360.deployment.runtimes.graph_rewrites import split_qkv
        from efficient360.deployment.runtimes.program import network, write_traced

        module = network(build.program)
        with tempfile.TemporaryDirectory() as folder:  # pnnx leaves half a dozen files beside those that are wanted
            traced = Path(folder) / "traced.pt"
            write_traced(split_qkv(module), build.size, traced)
            _write(traced, build.size, build.folder)
        _refuse(_foreign(build.folder / f"{MODEL}.param"))
        facts = {"exporter": "pnnx", "attention": "heads split in four dimensions"}
        return Converted(settings={"model": MODEL, "precision": build.precision.value}, facts=facts)


def _write(traced: Path, size: tuple[int, int, int], folder: Path) -> None:
    import pnnx

    shape = "[1," + ",".join(str(n) for n in size) + "]"
    files = [f"ncnnparam={folder / MODEL}.param", f"ncnnbin={folder / MODEL}.bin"]
    command = [pnnx.EXEC_PATH, traced.name, f"inputshape={shape}", "fp16=0", *files]
    done = subprocess.run(command, cwd=traced.parent, capture_output=True, text=True, check=False, errors="replace")
    if done.returncode or not (folder / f"{MODEL}.param").is_file():
        words = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Unsupported("no-pnnx", f"pnnx can't convert this network: it ended with code {done.returncode} after {words[-1:]}", "take another runtime")


def _foreign(param: Path) -> Counter[str]:
    """Layers that pnnx found no ncnn layer for: it leaves them under their names in torch, all with a dot or colons."""
    kinds = (line.split()[0] for line in param.read_text(encoding="utf-8").splitlines()[2:] if line.strip())
    return Counter(kind for kind in kinds if re.search(r"[.:]", kind))


def _refuse(foreign: Counter[str]) -> None:
    if foreign:
        names: Sequence[str] = [f"{kind} ({n})" for kind, n in sorted(foreign.items())]
        raise Unsupported("ncnn-operator", f"ncnn has no layer for {', '.join(names)}", "take another runtime")


RUNTIME = Ncnn()
