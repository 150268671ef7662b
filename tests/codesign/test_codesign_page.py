"""The page, the summary and the file of a result."""

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest
from toy_problem import DROP, LATENCY, SIZE, TOP1, Toy

from efficient360.codesign.budget import Budget
from efficient360.codesign.chart import panels
from efficient360.codesign.finish import find
from efficient360.codesign.goals import parse_goal
from efficient360.codesign.page import Subject, render
from efficient360.codesign.result import SearchResult
from efficient360.codesign.result_json import read, to_json
from efficient360.codesign.space import Candidate
from efficient360.codesign.summary import summary
from efficient360.codesign.trial import State
from efficient360.codesign.trial_log import TrialLog
from efficient360.core import terminal
from efficient360.core.measurement import Failure, Status
from efficient360.errors import RunError
from efficient360.reports.drawing.svg import inline

METRICS: Final = (LATENCY, SIZE, DROP, TOP1)
MET: Final = ("latency_p50<4ms", "top1_drop<1.5pt", "artefact_bytes<6MB")
MISSED: Final = ("latency_p50<1.2ms", "top1_drop<1pt", "artefact_bytes<6MB")
HOSTILE: Final = "<script>alert(1)</script>\x1b[31m"


class HostileToy(Toy):
    def cost(self, candidate: Candidate) -> Any:
        return Failure(Status.FAILED, "no-conversion", HOSTILE) if self.fails(candidate) else self._cost(candidate)


@pytest.fixture(scope="module", params=[MET, MISSED], ids=["met", "missed"])
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    problem = HostileToy(noise=0.02, half=0.2, fails=lambda candidate: candidate["runtime"] == "onnxruntime")
    goals = [parse_goal(text, METRICS) for text in request.param]
    return find(problem, goals, Budget(trials=30, keep_going=True), TrialLog(tmp_path_factory.mktemp("search") / "trials.jsonl"))


class Checker(HTMLParser):
    """Collects text, and refuses what loads or runs."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.scripts = 0
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.policy += str(dict(attrs).get("content")) if dict(attrs).get("http-equiv") == "Content-Security-Policy" else ""
        assert not any(name.startswith("on") for name, _ in attrs)
        assert tag not in ("iframe", "object", "embed", "link")
        assert not any(name in ("src", "href") and (value or "").startswith(("http", "javascript", "//")) for name, value in attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_tells_all_and_loads_nothing(result: SearchResult) -> None:
    html = render(result, Subject(HOSTILE, ("local", "cifar10 test"), "efficient360 optimize x", (("The artefact", "model/a b"),)))
    checker = Checker()
    checker.feed(html)
    text = " ".join(" ".join(checker.text).split())
    assert checker.scripts == 1
    assert "\x1b" not in html
    assert checker.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert 'href="model/a%20b"' in html
    for trial in result.trials:
        if trial.state is State.DROPPED and trial.number not in result.misses:
            assert " ".join(trial.reason.split()) in text
    assert "Why this one" in text if result.winner is not None else "What stands in the way" in text
    assert ("Goals met: " if result.winner is not None else "Goals not met. Nearest: ") in text


def test_every_chart_is_well_formed_and_draws_its_goals(result: SearchResult) -> None:
    drawn = panels(result)
    assert [panel.title.partition(" against ")[2].partition(" of ")[0] for panel in drawn] == ["Median latency", "Artefact size"]
    for panel in drawn:
        svg = inline(panel.drawing)
        ElementTree.fromstring(svg)
        assert "nan" not in svg
        assert ("≤ 1.5 pt" if result.winner is not None else "≤ 1 pt") in svg
        assert ("chosen" if result.winner is not None else "miss 1") in svg


def test_the_summary_is_short(result: SearchResult) -> None:
    lines = [line for part in summary(result, HOSTILE) for line in terminal.plain(part, 120).rstrip("\n").split("\n")]
    assert len(lines) <= 40
    told = "\n".join(lines)
    assert "\x1b" not in told
    assert "Median latency ≤" in told
    assert re.search(r"\d+ trials in", told)
    assert ("stands in the way" in told) is (result.winner is None)


@pytest.mark.parametrize("texts", [("artefact_bytes<2MB",), ("artefact_bytes<1kB",), ("top1_drop<1pt",), ("latency_p50<5ms",), ("top1>=99%",)])
def test_any_goals_have_a_page_and_a_summary(texts: tuple[str, ...], tmp_path: Path) -> None:
    found = find(Toy(), [parse_goal(text, METRICS) for text in texts], Budget(trials=5), TrialLog(tmp_path / "trials.jsonl"))
    ElementTree.fromstring(inline(panels(found)[0].drawing))
    assert render(found, Subject("toy", (), "efficient360 optimize toy", ())).startswith("<!doctype html>")
    assert summary(found, "toy")


def test_a_result_is_read_back_as_it_was(result: SearchResult, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text(json.dumps(to_json(result), allow_nan=False), encoding="utf-8")
    assert read(file) == result


def _without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.pop(key)


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.update({key: value})


@pytest.mark.parametrize(
    "damage",
    [
        _without("trials"),
        _set("winner", 10_000),
        _set("front", [-1]),
        _set("binding", "ece"),
        _set("objectives", ["latency_p50", "nothing"]),
        _set("schema_version", 2),
        lambda data: data["trials"].reverse(),
        lambda data: data["trials"][0]["cost"][0].update({"value": "x"}),
        lambda data: data["trials"][0].update({"state": "good"}),
        lambda data: data["goals"][0].update({"limit": "much"}),
    ],
)
def test_what_is_no_result_is_refused(damage: Callable[[dict[str, Any]], None], result: SearchResult, tmp_path: Path) -> None:
    data = json.loads(json.dumps(to_json(result)))
    damage(data)
    file = tmp_path / "result.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(RunError) as caught:
        read(file)
    assert caught.value.code == "unreadable-result"
