"""The documentation against the program: every example runs, every command parses, every field of a report is told."""

import importlib.util
import json
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from efficient360.cli import parser as cli
from efficient360.cli.listing import listing
from efficient360.conformance import check
from efficient360.core.measurement import ONE, Better, Failure, Interval, Measurement, Metric, Status
from efficient360.core.outcome import Record, from_json
from efficient360.datasets.card import parse_card
from efficient360.dimensions.dimension import Dimension
from efficient360.execution.plan import Plan, parse_protocol
from efficient360.models.sidecar import parse_sidecar
from efficient360.plugins.registry import dimensions, evaluators
from efficient360.reports.report import Report, axes_of, to_json

ROOT = Path(__file__).parents[1]
PAGES = [page for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))] if page.is_file()]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.title or self.language}"


def _blocks() -> Iterator[Block]:
    for page in PAGES:
        for language, rest, text in re.findall(r"^```(\w+)(.*?)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            title = re.search(r'title="([^"]+)"', rest)
            yield Block(page.name, language, title.group(1) if title else "", text)


BLOCKS = list(_blocks())


def _titled(language: str) -> list[Any]:
    return [pytest.param(b, id=str(b)) for b in BLOCKS if b.language == language and b.title]


def _commands() -> list[Any]:
    found = []
    for block in BLOCKS:
        if block.language in ("console", "bash", "sh", "shell"):
            for line in block.text.replace("\\\n", " ").splitlines():
                command = line.strip().removeprefix("$ ")
                if command.startswith("efficient360 "):
                    found.append(pytest.param(command, id=f"{block.page}:{command}"))
    return found


@pytest.mark.parametrize("command", _commands())
def test_command_parses(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        cli.parser().parse_args(shlex.split(command, comments=True)[1:])
    except SystemExit:
        pytest.fail(capsys.readouterr().err)


def test_named_evaluators_datasets_and_protocols_exist() -> None:
    parsed = [cli.parser().parse_args(shlex.split(p.values[0], comments=True)[1:]) for p in _commands()]
    names = {what: {line.split()[0] for line in listing(what, ())} for what in ("datasets", "protocols", "checkpoints", "dimensions")}
    names["evaluators"] = set(evaluators())
    for options in parsed:
        if options.command == "evaluate":
            assert not options.dataset or options.dataset in names["datasets"] or options.dataset.endswith((".yaml", "/")) or ":" in options.dataset
            assert options.protocol in names["protocols"] or options.protocol.endswith(".yaml")
            assert {name for name in options.only.split(",") if name} <= names["evaluators"]
        if options.command == "show" and not options.plugin:
            assert options.name in names[f"{options.what}s"]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every titled Python block as the file it is titled, on the import path."""
    folder = tmp_path_factory.mktemp("examples")
    files = [b for b in BLOCKS if b.language == "python" and b.title]
    assert len({b.title for b in files}) == len(files)
    for block in files:
        (folder / block.title).write_text(block.text, encoding="utf-8")
    return folder


def test_examples_of_an_evaluator_and_a_dimension_are_there(examples: Path) -> None:
    found = {entry.name for path in examples.glob("*.py") for entry in evaluators([path]).values() if entry.origin == str(path)}
    assert {"low_resolution", "zeros"} <= found
    assert any("Dimension(" in path.read_text() for path in examples.glob("*.py"))


@pytest.mark.parametrize("block", _titled("python"))
def test_python_example_runs(block: Block, examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = examples / block.title
    monkeypatch.syspath_prepend(str(examples))
    own = [entry for entry in evaluators([path]).values() if entry.origin == str(path)]
    for entry in own:
        check(entry.load()())
    before = {d.name for d in dimensions()}
    added = [d for d in dimensions([path]) if d.name not in before]
    assert bool(added) == ("Dimension(" in block.text)
    defined = runpy.run_path(str(path))
    tests = [value for name, value in defined.items() if name.startswith("test_")]
    assert bool(tests) == block.title.startswith("test_")
    for test in tests:
        test()
    for stem in [p.stem for p in examples.glob("*.py")]:
        sys.modules.pop(stem, None)


def test_example_dimension_is_filled_by_the_example_evaluator(examples: Path) -> None:
    (metric,) = evaluators([examples / "low_resolution.py"])["low_resolution"].load().metrics
    record = Record("low_resolution", Measurement(metric, 0.5, 10, Interval(0.2, 0.8, "wilson"), {"factor": 2}))
    (axis,) = [axis for axis in axes_of(dimensions([examples / "sharpness.py"]), [record]) if axis.dimension.name == "poor_cameras"]
    assert axis.score == 0.5


def test_example_of_reading_examples_parquet(examples: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {"id": [f"test/{i}" for i in range(12)] + ["test/0"], "metric": ["nll"] * 12 + ["brier"], "value": [float(i) for i in range(12)] + [99.0]}
    table = pa.table({"id": rows["id"], "metric": pa.array(rows["metric"]).dictionary_encode(), "value": rows["value"]})
    pq.write_table(table, tmp_path / "examples.parquet")
    hardest = runpy.run_path(str(examples / "hardest.py"))["hardest"]
    assert hardest(str(tmp_path / "examples.parquet")) == [f"test/{i}" for i in range(11, 1, -1)]


@pytest.mark.parametrize("block", _titled("yaml"))
def test_yaml_example_is_a_card_or_a_protocol(block: Block) -> None:
    data = yaml.safe_load(block.text)
    if "evaluators" in data:
        assert parse_protocol(block.text, block.title, evaluators()).name == Path(block.title).stem
    else:
        assert parse_card(block.text, block.title).name == Path(block.title).stem


@pytest.mark.parametrize("block", _titled("json"))
def test_json_example_is_a_sidecar_or_an_outcome(block: Block) -> None:
    data = json.loads(block.text)
    if block.title == "outcome":
        assert from_json(data).evaluator == data["evaluator"]
    else:
        sidecar = parse_sidecar(data, Path(block.title))
        assert (sidecar.architecture, sidecar.num_classes) == (data["architecture"], len(sidecar.class_names))


def _keys(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield key
            if key not in ("checkpoint", "dataset", "environment", "protocol", "conditions", "settings"):
                yield from _keys(value)
    if isinstance(data, list):
        for item in data:
            yield from _keys(item)


def test_every_field_of_a_report_is_documented() -> None:
    metric = Metric("top1", ONE, Better.HIGHER, "d", low=0, high=1)
    records = [
        Record("accuracy", Measurement(metric, 0.5, 4, Interval(0.1, 0.9, "wilson"), samples=(0.5,))),
        Record("macs", Failure(Status.FAILED, "c", "m")),
    ]
    report = Report("complete", "", "", "", {}, None, {}, {}, records, axes_of(dimensions(), records))
    told = (ROOT / "docs" / "reading-a-report.md").read_text(encoding="utf-8")
    assert sorted(key for key in set(_keys(to_json(report))) if f"`{key}`" not in told) == []


@pytest.mark.slow
def test_every_field_of_a_header_is_documented(tmp_path: Path) -> None:
    from efficient360.datasets.spec import DatasetSpec
    from efficient360.execution.events import Event, Opened
    from efficient360.execution.plan import Step
    from efficient360.execution.runner import run
    from efficient360.models.checkpoint import CheckpointSpec

    plan = Plan(CheckpointSpec("digits-vit"), DatasetSpec("digits", max_examples=2), "quick", (Step("parameters", {}),), tmp_path / "run")
    events: list[Event] = []
    run(plan, events.append)
    (header,) = [event.header for event in events if isinstance(event, Opened)]
    told = (ROOT / "docs" / "reading-a-report.md").read_text(encoding="utf-8")
    for part in ("checkpoint", "dataset", "environment", "protocol"):
        assert sorted(key for key in header[part] if f"`{key}`" not in told) == []


def _hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("documentation_hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_dimensions_page_holds_every_dimension_and_anchor() -> None:
    text = _hooks().dimensions_text(dimensions())
    for dimension in dimensions():
        assert f"## {dimension.title}\n\n*{dimension.question}*" in text
        for anchor in dimension.anchors:
            assert f"`{anchor.evaluator}` | {anchor.zero:g} | {anchor.one:g} | {anchor.scale} | " in text
            assert anchor.source.replace("|", "\\|") in text


def test_a_dimension_without_anchors_is_called_a_gap() -> None:
    assert "No evaluator measures this yet: the axis is drawn as a gap." in _hooks().dimensions_text([Dimension("d", "D", "?", 0)])


def test_evaluators_page_holds_every_metric() -> None:
    classes = [entry.load() for entry in evaluators().values()]
    text = _hooks().evaluators_text(classes)
    for cls in classes:
        assert f"## `{cls.name}`" in text
        for metric in cls.metrics:
            assert f"| `{metric.name}` | {metric.unit} | {metric.better} | " in text


def test_pages_keep_the_marks_that_are_drawn_over() -> None:
    for page, mark in _hooks().MARKS.items():
        assert (ROOT / "docs" / page).read_text(encoding="utf-8").count(mark) == 1


def test_the_licence_is_apache_2_in_full() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.splitlines()[1:3] == ["                                 Apache License", "                           Version 2.0, January 2004"]
    assert len(text.encode()) == 11358


@pytest.mark.slow
def test_documentation_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install '.[docs]'")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed: pip install '.[docs]'")
    import subprocess

    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "dimensions" / "index.html").read_text(encoding="utf-8")
    assert all(dimension.title in page for dimension in dimensions())
    assert "<!-- dimensions -->" not in page
    api = (tmp_path / "site" / "api" / "evaluator" / "index.html").read_text(encoding="utf-8")
    assert "ExampleEvaluator" in api
    assert ":class:" not in api


@pytest.mark.slow
@pytest.mark.exhaustive
def test_example_runtime_converts_and_answers_as_the_checkpoint_does(examples: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from efficient360.conformance import subject
    from efficient360.core.measurement import Failure
    from efficient360.deployment.artefact import run_artefact
    from efficient360.deployment.runtimes import calibration_images
    from efficient360.deployment.runtimes.building import ModelSource, build
    from efficient360.deployment.runtimes.runtime import Precision

    on = subject()
    artefact = build(ModelSource("x", on.model.module, on.model.input_size, None, tmp_path), str(examples / "unoptimised.py"), Precision.FP32)
    assert not isinstance(artefact, Failure), artefact
    pixels = calibration_images.synthetic_images(on.model.input_size, 3, 0)
    with run_artefact(artefact, on.model.num_classes) as running:
        assert abs(calibration_images.logits_of(running, pixels) - calibration_images.logits_of(on.model, pixels)).max() < 1e-4
