"""The process that converts: reads a request from standard input, writes the artefact's files and an answer beside them."""

import dataclasses
import json
import re
import sys
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from efficient360.core.measurement import Scalar
from efficient360.deployment.runtimes.catalogue import runtime
from efficient360.deployment.runtimes.runtime import Build, Precision
from efficient360.deployment.runtimes.signature import Signature
from efficient360.errors import Unsupported


def main() -> None:
    """Convert what standard input asks for."""
    request: dict[str, Any] = json.loads(sys.stdin.read())
    calibration = request["calibration"]
    channels, height, width = request["size"]
    build = Build(
        precision=Precision(request["precision"]),
        batch=request["batch"],
        size=(channels, height, width),
        program=Path(request["program"]),
        calibration=None if calibration is None else Path(calibration),
        shared=Path(request["shared"]),
        folder=Path(request["folder"]),
        float_layers=tuple(request["float_layers"]),
        signature=None if request.get("signature") is None else Signature.from_json(request["signature"]),
    )
    converter = runtime(request["runtime"])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            build, facts = _ready(build, request["prepared"])
            converted = converter.convert(build)
            answer: dict[str, Any] = dataclasses.asdict(dataclasses.replace(converted, facts={**converted.facts, **facts}))
    except Unsupported as error:
        answer = _error("unsupported", error.code, error.message, error.hint)
    except Exception as error:  # a converter may raise anything
        traceback.print_exc()
        text = re.sub(r"\S*site-packages/", "", " ".join(str(error).split()))  # where a library lies is nobody else's matter
        cause = f"{type(error).__name__}: {text[:400]}"
        answer = _error("failed", "conversion-failed", f"the converter for {converter.title} raised {cause}", "the other runtimes are not touched by it")
    (build.folder.parent / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _ready(build: Build, folder: str | None) -> tuple[Build, Mapping[str, Scalar]]:
    if folder is None:
        return build, {}
    from efficient360.deployment.runtimes.quantization.prepared import prepare  # with torch, which few converters need

    return prepare(build, Path(folder))


def _error(status: str, code: str, message: str, hint: str) -> dict[str, Any]:
    return {"error": {"status": status, "code": code, "message": message, "hint": hint}}


if __name__ == "__main__":
    main()
