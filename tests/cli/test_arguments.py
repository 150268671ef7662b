"""Every argument has help; names that look like a misspelt one are offered; completion answers with names."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

import efficient360
from efficient360.cli.argument_parser import all_parsers
from efficient360.cli.completion import completer_of, script
from efficient360.cli.listing import listing
from efficient360.cli.parser import SHELLS, parser, run_command
from efficient360.plugins.registry import evaluators

ARGUMENTS = [(prog, action) for prog, command in all_parsers(parser()).items() for action in command._actions]


@pytest.mark.parametrize(("prog", "action"), ARGUMENTS, ids=lambda value: value if isinstance(value, str) else value.dest)
def test_every_argument_has_help(prog: str, action: argparse.Action) -> None:
    if isinstance(action, argparse._SubParsersAction):
        assert [choice.help for choice in action._choices_actions if not choice.help] == []
        assert len(action._choices_actions) == len(action.choices)
    else:
        assert action.help
        assert action.help != argparse.SUPPRESS


@pytest.mark.parametrize("prog", all_parsers(parser()))
def test_help_is_printed_for_every_command(prog: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run_command([*prog.split()[1:], "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage: efficient360")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["evalute"], "did you mean evaluate?"),
        (["evaluate", "x", "--datset", "digits"], "did you mean --dataset"),
        (["evaluate", "x", "--only", "acuracy"], "did you mean accuracy?"),
        (["evaluate", "x", "--protocol", "quik"], "did you mean quick?"),
        (["evaluate", "x", "--set", "calibraton.bins=3"], "did you mean calibration?"),
        (["evaluate", "x", "--as", "onnxruntme"], "did you mean onnxruntime"),
        (["evaluate", "x", "--as", "onnxruntime:fp23"], "did you mean fp32?"),
        (["list", "evaluatrs"], "did you mean evaluators?"),
        (["show", "evaluater", "x"], "did you mean evaluator?"),
        (["show", "dataset", "cifar1000"], "did you mean cifar10"),
        (["show", "checkpoint", "digit-vit"], "did you mean digits-vit"),
        (["show", "dimension", "latncy"], "did you mean latency?"),
        (["leaderboard", "buld"], "did you mean build?"),
        (["report", "--models", "x", "y"], "--models is an option of efficient360 benchmark"),
        (["report", "a", "b"], "efficient360 report --help"),
    ],
)
def test_what_was_probably_meant_is_said(arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = run_command(arguments)
    except SystemExit as end:  # from argparse
        code = int(str(end.code))
    message, told = capsys.readouterr().err.splitlines()
    assert code == 2
    assert message.startswith("efficient360")
    assert hint in told


def test_every_evaluator_is_listed_once_with_time_and_protocol() -> None:
    lines = [line.split() for line in listing("evaluators", []) if line.startswith("  ")]
    assert sorted(line[0] for line in lines) == sorted(evaluators())
    rows = {line[0]: line[1:] for line in lines}
    assert rows["accuracy"][2] == "quick"
    assert rows["black_box"][2] == "standard"
    assert rows["private_training"][2] == "full"


def test_a_plugins_evaluator_is_listed_without_an_axis(plugin) -> None:
    lines = listing("evaluators", [plugin()])
    assert lines.index("Further evaluators, which no axis shows") < next(i for i, line in enumerate(lines) if line.startswith("  brightness"))


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["completion", shell]) == 0
    assert capsys.readouterr().out.strip() == script(shell)
    assert "efficient360" in script(shell)
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script(shell), text=True, check=True)


def test_names_are_completed() -> None:
    action = {action.dest: action for prog, action in ARGUMENTS if prog in ("efficient360 evaluate", "efficient360 show")}
    assert completer_of(action["only"])(prefix="accuracy,ca") == [f"accuracy,{name}" for name in evaluators() if name != "accuracy"]
    assert "digits-vit" in completer_of(action["checkpoint"])(prefix="dig")
    assert completer_of(action["protocol"])(prefix="q") == ["quick"]
    assert completer_of(action["name"])(prefix="", parsed_args=argparse.Namespace(what="protocol")) == ["quick", "standard", "full"]
    assert completer_of(action["strict"]) is None


def test_a_shell_is_answered_without_torch() -> None:
    """As bash's completion function asks: the line in the environment, the answer on descriptor 8."""
    line = "efficient360 evaluate digits-vit --only accuracy,cal"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_COMP_WORDBREAKS": " "}
    command = f"{sys.executable} -X importtime -m efficient360 8>&1 9>/dev/null"
    path = {"PYTHONPATH": str(Path(efficient360.__file__).parents[1])}
    done = subprocess.run(["bash", "-c", command], env=os.environ | asked | path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["accuracy,calibration"]
    assert "torch" not in {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
