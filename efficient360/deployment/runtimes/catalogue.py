"""Runtimes by name, found by their files; a listing imports none of their libraries."""

import ast
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from efficient360.core.close_names import did_you_mean
from efficient360.deployment.runtimes.runtime import Precision, Runtime
from efficient360.errors import PluginError, SettingsError
from efficient360.plugins.plugin_file import imported

CONVERTERS = "efficient360.deployment.runtimes.converters"
ORDER = (
    "torch",
    "torch_compile",
    "onnxruntime",
    "openvino",
    "litert",
    "executorch",
    "mnn",
    "ncnn",
    "tvm",
    "torch_cuda",
    "torch_cuda_graphs",
    "onnxruntime_cuda",
)
"""How they are listed; a file that is not named here comes after them."""


def names() -> list[str]:
    """Names of the built-in runtimes."""
    files = {file.stem for file in (Path(__file__).parent / "converters").glob("*.py") if not file.stem.startswith("_")}
    return [name for name in ORDER if name in files] + sorted(files - set(ORDER))


def runtime(name: str) -> Runtime:
    """The runtime of a name, or of a plug-in's ``path/to/file.py``.

    Raises:
        SettingsError: No such runtime.
        PluginError: The file has no Runtime, or can't be imported.
    """
    if name.endswith(".py"):
        return _from_file(Path(name))
    if name not in names():
        raise SettingsError("unknown-runtime", f"there is no runtime called {name!r}", did_you_mean(name, names(), "or a file.py with one"))
    module = importlib.import_module(f"{CONVERTERS}.{name}")
    converter: Runtime = module.RUNTIME
    return converter


def missing(converter: Runtime) -> list[str]:
    """Modules that are not installed and that converting needs."""
    return [module for module in converter.converts_with if importlib.util.find_spec(module) is None]


def missing_to_run(converter: Runtime) -> list[str]:
    """Modules that are not installed and that running what was converted needs, as far as its session names them."""
    session = converter.session or Path(__file__).parent / "kit" / "sessions" / f"{converter.name}.py"
    modules = [
        ast.literal_eval(node.value)
        for node in ast.parse(session.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "MODULES" for target in node.targets)
    ]
    return [name for names in modules for name in names if importlib.util.find_spec(name.partition(".")[0]) is None]


def installed() -> list[str]:
    """Names of the built-in runtimes whose converters are all there and that this machine can run."""
    return [name for name in names() if not missing(runtime(name)) and not runtime(name).unavailable()]


def for_any_program() -> list[str]:
    """Names of the built-in runtimes that convert programs with any inputs."""
    return [name for name in names() if runtime(name).any_program]


def how_to_get(converter: Runtime) -> str:
    """What to type to install it."""
    return converter.hint or (f"pip install 'efficient360[{converter.extra}]'" if converter.extra else "reinstall efficient360")


def versions(converter: Runtime) -> dict[str, str]:
    """Versions of the distributions that convert, by module."""
    owners = _owners()
    return {module: metadata.version(owners[module][0]) for module in converter.converts_with if module in owners}


@cache
def _owners() -> Mapping[str, list[str]]:
    """Distributions by module; looking through a large environment takes more than a second."""
    return metadata.packages_distributions()


def target(text: str) -> tuple[str, Precision]:
    """The runtime's name and the precision of ``runtime[:precision]``; fp32 where none is given.

    Raises:
        SettingsError: No such runtime, no such precision, or one that this runtime does not have.
    """
    name, _, precision = text.partition(":")
    converter = runtime(name)
    if precision and precision not in {p.value for p in converter.precisions}:
        has = ", ".join(p.value for p in converter.precisions)
        raise SettingsError(
            "unknown-precision",
            f"{converter.title} has no precision {precision!r}",
            did_you_mean(precision, [p.value for p in converter.precisions], listed=f"it has {has}"),
        )
    return name, Precision(precision or Precision.FP32)


def targets(texts: Sequence[str]) -> list[tuple[str, Precision]]:
    """As :func:`target` for many, in order and each once; ``installed`` stands for every installed runtime in fp32.

    Raises:
        SettingsError: As :func:`target`.
    """
    chosen: list[tuple[str, Precision]] = []
    for text in texts:
        choices = [(name, Precision.FP32) for name in installed()] if text == "installed" else [target(text)]
        chosen += [choice for choice in choices if choice not in chosen]
    return chosen


def wanted(texts: Sequence[str]) -> list[tuple[str, Precision]]:
    """As :func:`targets`; a ``?`` at the end leaves out what is not installed.

    Raises:
        SettingsError: As :func:`target`, also of what is left out.
    """
    targets([text.removesuffix("?") for text in texts])
    available = {"installed", *installed()}
    return targets([text.removesuffix("?") for text in texts if not text.endswith("?") or text.removesuffix("?").partition(":")[0] in available])


def _from_file(path: Path) -> Runtime:
    if not path.is_file():
        raise PluginError("no-plugin-file", f"there is no file {path}", "give the path of a Python file with a RUNTIME")
    converter = getattr(imported(path, "runtime"), "RUNTIME", None)
    if not isinstance(converter, Runtime):
        raise PluginError("no-runtime", f"{path} has no RUNTIME", "let it end in RUNTIME = YourRuntime()")
    return converter
