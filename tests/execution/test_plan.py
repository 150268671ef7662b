from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest

from efficient360.core.settings import AtLeast1, AtLeast2, EachOnce, FileOrNone, Level, NotEmpty, Share, among
from efficient360.errors import SettingsError
from efficient360.execution.plan import Step, chosen, configure, parse_protocol, parse_settings, protocol_names, read_protocol, with_settings
from efficient360.plugins.registry import evaluator_class, evaluators

KNOWN = evaluators()


@dataclass(frozen=True)
class Sample:
    name: ClassVar = "sample"
    bins: int = 15
    sizes: tuple[int, ...] = (1, 32)
    kind: str = "plain"


@pytest.mark.parametrize("name", protocol_names())
def test_built_in_protocols_are_valid_and_their_settings_configure(name: str) -> None:
    protocol = read_protocol(name, KNOWN)
    assert protocol.name == name
    assert protocol.description
    for step in protocol.steps:
        configure(evaluator_class(step.evaluator, KNOWN), step.settings)


def test_protocols_run_from_short_to_long() -> None:
    assert protocol_names() == ["quick", "standard", "full"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("evaluators: [", "is not YAML"),
        ("name: x", "has no evaluators"),
        ("- accuracy", "it is .'accuracy'., where an object is wanted"),
        ("name: 2020-99-99\nevaluators: {accuracy: {}, accuracy: {}}", "the key 'accuracy' is given twice, line 2"),
        ("name: 12\nevaluators: {}", "name is 12, where a text is wanted"),
        ("evaluators: {accuracy: {}}\ninherits: quick", "unknown key 'inherits'"),
        ("evaluators: {acuracy: {}}", "names an evaluator 'acuracy' that does not exist"),
        ("evaluators: {accuracy: 3}", "evaluators.accuracy is 3, where an object is wanted"),
        ("evaluators: {accuracy: {}}\nmax_examples: 0", "max_examples is 0, where at least 1 is wanted"),
        ("evaluators: {accuracy: {}}\nmax_examples: many", "max_examples is 'many', where a whole number is wanted"),
    ],
)
def test_bad_protocols_are_explained(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        parse_protocol(text, "mine.yaml", KNOWN)
    assert caught.value.hint


def test_unknown_protocols_are_explained() -> None:
    with pytest.raises(SettingsError, match="there is no protocol called 'fast'") as caught:
        read_protocol("fast", KNOWN)
    assert "quick" in caught.value.hint
    with pytest.raises(SettingsError, match="there is no protocol file nowhere.yaml"):
        read_protocol("nowhere.yaml", KNOWN)


def test_a_protocol_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("evaluators:\n  accuracy:\n  calibration: {bins: 10}\n")
    protocol = read_protocol(str(path), KNOWN)
    assert protocol.steps == (Step("accuracy", {}), Step("calibration", {"bins": 10}))
    assert protocol.name == "mine"


def test_only_narrows_keeps_settings_and_takes_any_evaluator() -> None:
    protocol = parse_protocol("evaluators: {accuracy: {}, calibration: {bins: 10}}", "x", KNOWN)
    assert chosen(protocol, ["calibration", "macs"], [], KNOWN) == (Step("calibration", {"bins": 10}), Step("macs", {}))
    assert [s.evaluator for s in chosen(protocol, [], ["mine"], KNOWN)] == ["accuracy", "calibration", "mine"]
    with pytest.raises(SettingsError, match="there is no evaluator called 'acuracy'"):
        chosen(protocol, ["acuracy"], [], KNOWN)


def test_settings_take_their_types() -> None:
    assert configure(Sample, {"bins": 3, "sizes": [4]}) == Sample(3, (4,))
    assert configure(Sample, {}) == Sample()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bin": 3}, "has no setting 'bin'"),
        ({"bins": "many"}, "the setting bins of sample is 'many'"),
        ({"sizes": [1, "x"]}, "the setting sizes of sample holds 'x'"),
    ],
)
def test_bad_settings_are_explained(settings: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        configure(Sample, settings)
    assert caught.value.hint


def test_settings_are_replaced_one_by_one() -> None:
    steps = (Step("latency", {"runs": 5}), Step("macs", {}))
    texts = ["latency.device=limited:1core-2gb", "latency.runtimes=[torch, 'onnxruntime:int8']", "latency.runs=7"]
    assert with_settings(steps, parse_settings(texts)) == (
        Step("latency", {"runs": 7, "device": "limited:1core-2gb", "runtimes": ["torch", "onnxruntime:int8"]}),
        Step("macs", {}),
    )
    assert steps[0].settings == {"runs": 5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latency", "--set latency is not EVALUATOR.SETTING=VALUE"),
        ("latency=3", "--set latency=3 is not EVALUATOR.SETTING=VALUE"),
        ("memory.batches=[1]", "settings are given for 'memory', which is not going to run"),
        ("latency.runtimes=[torch", "the value in --set latency.runtimes=[torch is not YAML"),
    ],
)
def test_a_bad_replacement_is_named(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        with_settings((Step("latency", {}),), parse_settings([text]))
    assert caught.value.code == "bad-option"
    assert caught.value.message == said


@dataclass(frozen=True)
class Constrained:
    name: ClassVar = "constrained"
    bins: AtLeast1 = 15
    share: Share = 0.5
    level: Level = 0.1
    sizes: Annotated[tuple[AtLeast2, ...], EachOnce, NotEmpty] = (2, 4)
    table: Literal["auto", "small"] = "auto"
    attacks: tuple[Annotated[str, among(lambda: ("fgsm", "pgd"))], ...] = ("pgd",)
    regions: FileOrNone = ""
    on: bool = True


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"bins": 0}, "the setting bins of constrained is 0", "give at least 1; the default is 15"),
        ({"bins": 1.5}, "the setting bins of constrained is 1.5", "give a whole number; the default is 15"),
        ({"share": 1.2}, "the setting share of constrained is 1.2", "give at most 1; the default is 0.5"),
        ({"share": "half"}, "the setting share of constrained is 'half'", "give a number; the default is 0.5"),
        ({"level": 0}, "the setting level of constrained is 0", "give a number above 0; the default is 0.1"),
        ({"level": 1}, "the setting level of constrained is 1", "give a number below 1; the default is 0.1"),
        ({"sizes": [2, 2]}, "the setting sizes of constrained is [2, 2]", "name each once; the default is [2, 4]"),
        ({"sizes": []}, "the setting sizes of constrained is []", "name at least one; the default is [2, 4]"),
        ({"sizes": [1]}, "the setting sizes of constrained holds 1", "give at least 2; the default is [2, 4]"),
        ({"sizes": 3}, "the setting sizes of constrained is 3", "give a list; the default is [2, 4]"),
        ({"table": "large"}, "the setting table of constrained is 'large'", "give 'auto' or 'small'; the default is 'auto'"),
        ({"attacks": ["pdg"]}, "the setting attacks of constrained holds 'pdg'", "did you mean pgd? Known: fgsm, pgd; the default is ['pgd']"),
        ({"regions": "nowhere.json"}, "the setting regions of constrained is 'nowhere.json'", "give the path of a file; the default is ''"),
        ({"on": "perhaps"}, "the setting on of constrained is 'perhaps'", "give true or false; the default is True"),
    ],
)
def test_a_refused_setting_says_what_it_is_and_what_it_must_be(settings: dict, message: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configure(Constrained, settings)
    assert (caught.value.code, caught.value.message, caught.value.hint) == ("bad-setting", message, hint)


def test_constrained_settings_take_what_they_allow(tmp_path: Path) -> None:
    (tmp_path / "regions.json").write_text("{}")
    settings = {"bins": 1, "share": 1, "level": 0.5, "sizes": [2], "table": "small", "attacks": [], "regions": str(tmp_path / "regions.json"), "on": False}
    assert configure(Constrained, settings) == Constrained(1, 1.0, 0.5, (2,), "small", (), str(tmp_path / "regions.json"), False)
