"""Listings of evaluators, dimensions, data sets, checkpoints, protocols and runtimes. Only ``show`` imports evaluators."""

import dataclasses
import inspect
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from efficient360.core.close_names import did_you_mean
from efficient360.errors import CheckpointError, SettingsError

ROOT = "efficient360"


def listing(what: str, plugins: Sequence[Path]) -> list[str]:
    """One line per entry: name and description."""
    if what == "evaluators":
        from efficient360.cli.evaluator_listing import evaluator_lines

        return evaluator_lines(plugins)
    if what == "dimensions":
        from efficient360.plugins.registry import dimensions

        return _aligned([(d.name, d.question + ("" if d.anchors else "  (no evaluator yet)")) for d in dimensions(plugins)])
    if what == "datasets":
        from efficient360.datasets.layouts.catalogue import LAYOUTS

        rows = [(Path(str(f)).stem, _line(f.read_text(encoding="utf-8"), "title")) for f in _files("datasets/cards", ".yaml")]
        return _aligned([*rows, *((layout.typed, layout.summary) for layout in LAYOUTS.values())])
    if what == "protocols":
        from efficient360.execution.plan import protocol_names

        text = {Path(str(f)).stem: f.read_text(encoding="utf-8") for f in _files("configs/protocols", ".yaml")}
        return _aligned([(name, _line(text[name], "description")) for name in protocol_names()])
    if what == "runtimes":
        from efficient360.deployment.runtimes.catalogue import names

        return _aligned([(name, _runtime(name)) for name in names()])
    rows = [(Path(str(f)).stem, json.loads(f.read_text(encoding="utf-8")).get("description", "")) for f in _files("models/zoo", ".json")]
    return _aligned([*rows, ("TIMM_NAME[.TAG]", "any timm architecture, with weights from the Hub"), ("hf-hub:ORG/NAME", "a timm checkpoint on the Hub")])


def _runtime(name: str) -> str:
    from efficient360.deployment.runtimes import catalogue

    runtime = catalogue.runtime(name)
    state = f"not installed: {catalogue.how_to_get(runtime)}" if catalogue.missing(runtime) else runtime.unavailable() or "installed"
    return f"{runtime.title}, {' '.join(runtime.precisions)}; {state}"


def show(what: str, name: str, plugins: Sequence[Path]) -> str:
    """One entry in full.

    Raises:
        Efficient360Error: There is no such name.
    """
    if what == "evaluator":
        return _evaluator(name, plugins)
    if what == "dimension":
        return _dimension(name, plugins)
    texts = entries(what)
    if name not in texts:
        kind = CheckpointError if what == "checkpoint" else SettingsError
        raise kind(f"unknown-{what}", f"there is no {what} called {name!r}", did_you_mean(name, texts))
    return str(texts[name]).rstrip()


def entries(what: str) -> dict[str, str]:
    """The text of each data set's card, protocol or embedded checkpoint's sidecar, by name.

    Args:
        what: ``dataset``, ``protocol`` or ``checkpoint``.
    """
    folder, suffix = {"dataset": ("datasets/cards", ".yaml"), "protocol": ("configs/protocols", ".yaml"), "checkpoint": ("models/zoo", ".json")}[what]
    return {Path(str(f)).stem: f.read_text(encoding="utf-8") for f in _files(folder, suffix)}


def _evaluator(name: str, plugins: Sequence[Path]) -> str:
    from efficient360.plugins.registry import evaluator_class, evaluators
    from efficient360.reports.names import title

    cls: Any = evaluator_class(name, evaluators(plugins))
    lines = [f"{name} (version {cls.version})", "", inspect.getdoc(cls) or "", "", "needs: " + (", ".join(sorted(cls.needs)) or "only the model")]
    settings = [f"  {f.name}: {_default(f)}" for f in dataclasses.fields(cls)]
    lines += ["settings:" if settings else "settings: none", *settings, "metrics:"]
    for m in cls.metrics:
        lines += [f"  {m.name} ({title(m.name)}) [{m.unit}], {'descriptive' if m.better == 'neither' else m.better + ' is better'}", f"    {m.description}"]
        lines += [f"    {m.source}"] if m.source else []
    return "\n".join(lines)


def _default(field: Any) -> Any:
    return field.default if field.default is not dataclasses.MISSING else field.default_factory()


def _dimension(name: str, plugins: Sequence[Path]) -> str:
    from efficient360.plugins.registry import dimensions, evaluator_class, evaluators
    from efficient360.reports import names
    from efficient360.reports.axis_scores import anchor_value

    known = {d.name: d for d in dimensions(plugins)}
    if name not in known:
        raise SettingsError("unknown-dimension", f"there is no dimension called {name!r}", did_you_mean(name, known))
    d = known[name]
    lines = [d.title, d.question, *([d.caveat] if d.caveat else []), "", "summary metrics:" if d.anchors else "no evaluator measures it yet"]
    entries_by_name = evaluators(plugins)
    for a in d.anchors:
        measured = evaluator_class(a.evaluator, entries_by_name).metrics if a.evaluator in entries_by_name else ()
        metric = next((m for m in measured if m.name == a.metric), None)
        zero, one = (anchor_value(value, metric) for value in (a.zero, a.one))
        conditions = f", {names.conditions(a.conditions)}" if a.conditions else ""
        lines += [f"  {names.title(a.metric)} ({a.evaluator}.{a.metric}{conditions}): {zero} scores 0, {one} scores 1, {a.scale}", f"    {a.source}"]
    return "\n".join(lines)


def _files(folder: str, suffix: str) -> list[Any]:
    directory = resources.files(ROOT).joinpath(*folder.split("/"))
    return sorted((f for f in directory.iterdir() if f.name.endswith(suffix)), key=lambda f: f.name)


def _line(text: str, key: str) -> str:
    return next((line.partition(":")[2].strip().strip("\"'") for line in text.splitlines() if line.startswith(f"{key}:")), "")


def _aligned(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {text}".rstrip() for name, text in rows]
