"""Co-design of programs that take no images: a tiny random BERT, and a tiny random GPT that is called token by token."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from efficient360.codesign.problem import Effort
from efficient360.codesign.programs.changes import block_influence, dropped_blocks, low_rank, mlp_kept
from efficient360.codesign.programs.metrics import DROP, P50, QUALITY, TOKEN, difference, qualities
from efficient360.codesign.programs.problem import Examples, ProgramProblem
from efficient360.codesign.programs.program import Program, Run
from efficient360.codesign.programs.running import hand_over
from efficient360.codesign.space import Candidate
from efficient360.core.measurement import Failure
from efficient360.core.statistics import newcombe_paired
from efficient360.deployment.devices.local import Local
from efficient360.deployment.runtimes.runtime import Artefact, Precision
from efficient360.deployment.runtimes.signature import ArraySpec, Call, Signature
from efficient360.errors import RunError, SettingsError, Unsupported

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

import text_corpus  # type: ignore[import-not-found]  # noqa: E402 - an example is no package
import text_gpt  # type: ignore[import-not-found]  # noqa: E402

WORDS, LENGTH = 30, 8


class Sentences(nn.Module):
    """A tiny random BERT whose word vectors are averaged."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2, "max_position_embeddings": 16}
        self.bert = BertModel(BertConfig(vocab_size=WORDS, **sizes), add_pooling_layer=False)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        words = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        shown = mask[..., None].float()
        return (words * shown).sum(1) / shown.sum(1)


def bert() -> Program:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Sentences().eval()
    signature = Signature((ArraySpec("ids", (1, LENGTH), "int64"), ArraySpec("mask", (1, LENGTH), "int64")), ("vector",))
    return Program("tiny BERT", module, signature)


def sentence(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = (np.arange(LENGTH) < rng.integers(3, LENGTH + 1))[None].astype(np.int64)
    return {"ids": rng.integers(1, WORDS, (1, LENGTH)) * mask, "mask": mask}


def gpt(steps: int = 3) -> Program:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = text_gpt.Gpt(WORDS, width=16, depth=3, heads=2, room=12)
        for part in network.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.normal_(part.weight, std=0.3)  # else all logits are alike
    return text_gpt.program(network, steps)


def prompt(seed: int, length: int = 5) -> dict[str, np.ndarray]:
    return {"prompt": np.random.default_rng(seed).integers(0, WORDS, length)}


def nearest(original: Program, sentences: Sequence[Call]) -> Any:
    """Whether a sentence's nearest of the first three stays the same."""

    def found(run: Run, examples: Sequence[int]) -> np.ndarray:
        vectors = run([*sentences[:3], *(sentences[i] for i in examples)])["vector"][:, 0]
        return (vectors[3:] @ vectors[:3].T).argmax(1)

    def judge(run: Run, examples: Sequence[int]) -> list[float]:
        return [float(same) for same in found(run, examples) == found(original.run(reading=True), examples)]

    return judge


def reading(original: Program) -> Any:
    """Share of the places where a prompt goes on as in the original."""

    def judge(run: Run, examples: Sequence[Sequence[int]]) -> list[float]:
        calls = [{"prompt": np.asarray(tokens)} for tokens in examples]
        return (run(calls)["tokens"] == original.run(reading=True)(calls)["tokens"]).mean(1).tolist()

    return judge


def bert_problem(folder: Path, targets: Sequence[str], changes: Any = ()) -> ProgramProblem:
    program = bert()
    sentences = [sentence(seed) for seed in range(40)]
    examples = Examples(sentences[30:], list(range(3, 15)), list(range(15, 25)), sentences[:2])
    return ProgramProblem(program, nearest(program, sentences), "nearest-1", examples, Local(), targets, folder, changes)


def gpt_problem(folder: Path, targets: Sequence[str], changes: Any = ()) -> ProgramProblem:
    program = gpt()
    prompts = [[int(token) for token in prompt(seed)["prompt"]] for seed in range(20)]
    examples = Examples([prompt(50)], prompts[:10], prompts[10:], [prompt(60), prompt(61)])
    return ProgramProblem(program, reading(program), "reading-1", examples, Local(), targets, folder, changes)


def plain(runtime: str = "torch", **settings: Any) -> dict[str, Any]:
    return {"runtime": runtime, "precision": "fp32", "threads": 1, **settings}


def measured(result: Mapping[str, Any] | Failure) -> Mapping[str, Any]:
    assert not isinstance(result, Failure), result
    return result


# ── the network itself ──


def test_the_cache_gives_what_reading_everything_at_once_gives() -> None:
    program, tokens = gpt(steps=4), prompt(1)["prompt"].tolist()
    assert isinstance(program.module, text_gpt.Gpt)
    answer = program.run(reading=False)([prompt(1)])
    with torch.no_grad():
        likely = program.module.learn(torch.tensor([tokens])).log_softmax(-1)[0]
        for _ in range(4):
            tokens.append(int(program.module.learn(torch.tensor([tokens]))[0, -1].argmax()))
    assert answer["tokens"][0][-4:].tolist() == tokens[-4:]
    np.testing.assert_allclose(answer["log_likelihood"][0], [float(likely[i, tokens[i + 1]]) for i in range(4)], atol=1e-4)


def test_an_answer_too_long_for_the_cache_is_told() -> None:
    with pytest.raises(ValueError, match="room for 12"):
        gpt(steps=3).require(prompt(0, length=11))
    gpt(steps=3).require(prompt(0, length=10))


def test_the_identity_follows_the_weights() -> None:
    first, other = bert(), bert()
    assert first.identity == other.identity
    with torch.no_grad():
        next(other.module.parameters()).view(-1)[0] += 1
    assert first.identity != other.identity


def test_steps_to_calibrate_with_are_the_loop_s_own() -> None:
    calls = gpt().step_calls([prompt(3)], every=2)
    assert [int(call["position"][0]) for call in calls] == [1, 3, 5]
    assert all(set(call) == {"token", "position", "keys", "values"} for call in calls)
    assert np.abs(calls[1]["keys"][:, :, :3]).min() > 0  # what came before is remembered
    assert np.abs(calls[1]["keys"][:, :, 3:]).max() == 0


def test_the_corpus_asks_for_nothing_by_its_name() -> None:
    things, asked = text_corpus.facts(), text_corpus.questions(0)
    assert (len(things), len(asked), len({question for question, _ in asked})) == (48, 192, 192)
    assert all(len(told) == 4 for _, told in things)
    assert not [question for question, index in asked if things[index][0].lower() in question.lower()]
    words = text_gpt.Words(text_corpus.lines())
    assert words.decode([*words.encode("what burns ?"), 0, 5]) == "what burns ?"
    unknown = [question for question, _ in asked if 0 in words.encode(question.replace("?", " ?").replace(",", " ,").lower())]
    assert not unknown  # every question can be read by the language model


def test_training_lowers_the_loss() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = text_gpt.Gpt(12, width=16, depth=1, heads=2, room=8)
    lines = [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert text_gpt.train(network, lines, 60, seed=0, batch=4, rate=1e-2) < 0.5 < np.log(12)


# ── changes ──


def test_the_block_that_does_nothing_is_left_out_first() -> None:
    program = gpt()
    idle = program.module.blocks[1]
    with torch.no_grad():
        for layer in (idle.out, idle.mlp[2]):
            layer.weight.zero_()
            layer.bias.zero_()
    influence = block_influence(program, "blocks", [prompt(1)])
    assert influence[1] == pytest.approx(0, abs=1e-9)
    assert influence.argmin() == 1
    change = dropped_blocks(program, "blocks", 1, [prompt(1)])
    changed = program.with_module(change.apply(program.module, 1))
    assert len(list(changed.module.get_submodule("blocks").children())) == 2
    before, after = (p.run(reading=False)([prompt(2)]) for p in (program, changed))
    np.testing.assert_allclose(after["log_likelihood"], before["log_likelihood"], atol=1e-5)  # a block that does nothing is not missed
    assert after["tokens"].tolist() == before["tokens"].tolist()


def test_no_list_of_blocks_is_told() -> None:
    with pytest.raises(Unsupported) as error:
        dropped_blocks(bert(), "bert.embeddings", 1, [sentence(0)])
    assert error.value.code == "no-block-list"


def test_neurons_that_do_nothing_are_left_out_first() -> None:
    program = bert()
    pairs = [(f"bert.encoder.layer.{i}.intermediate.dense", f"bert.encoder.layer.{i}.output.dense") for i in range(3)]
    with torch.no_grad():
        for _, second in pairs:
            program.module.get_submodule(second).weight[:, ::2] = 0
    changed = program.with_module(mlp_kept(program, pairs, (100, 50)).apply(program.module, "50 %"))
    assert changed.module.get_submodule(pairs[0][0]).weight.shape == (24, 32)
    before, after = (p.run(reading=True)([sentence(1)])["vector"] for p in (program, changed))
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_what_is_no_mlp_is_told() -> None:
    with pytest.raises(Unsupported) as error:
        mlp_kept(bert(), [("bert.encoder.layer.0.intermediate.dense", "bert.encoder.layer.0.attention.self.query")])
    assert error.value.code == "no-mlp"


def test_full_share_changes_nothing() -> None:
    change = low_rank(bert(), (75,))
    assert change.knob.values == ("none", "75 %")
    changed = change.apply(bert().module, "75 %")
    assert sum(p.numel() for p in changed.parameters()) < sum(p.numel() for p in bert().module.parameters())


# ── what is measured ──


def test_quality_is_paired() -> None:
    original, variant = np.array([1.0, 1, 1, 1, 0, 0, 1, 1]), np.array([1.0, 1, 1, 0, 0, 1, 1, 0])
    drop = qualities(original, variant, 0)[DROP.name]
    assert drop.value == pytest.approx(1 / 8)
    expected = newcombe_paired(4, 2, 1, 1)
    assert drop.interval is not None
    assert (drop.interval.low, drop.interval.high) == pytest.approx((expected.low, expected.high))


def test_no_loss_on_few_examples_is_no_certainty() -> None:
    """Where every share is the same, the interval still tells how little few examples say: 1 - 0.025 ** (1 / n)."""
    same = np.full(20, 0.75)
    drop = qualities(same, same, 0)[DROP.name]
    assert drop.value == 0
    assert drop.interval is not None
    assert drop.interval.high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert qualities(same, same, 0)[QUALITY.name].value == 0.75


@pytest.mark.parametrize(
    ("change", "reason"),
    [(0.0, ""), (0.004, ""), (0.02, "off by"), (np.nan, "not finite")],
)
def test_answers_are_held_against_their_spread(change: float, reason: str) -> None:
    true = np.tile(np.array([1.0, -1.0], np.float32), 8)[None]
    assert reason in difference({"x": true}, {"x": true + np.float32(change)}, Precision.FP32)
    assert bool(difference({"x": true}, {"x": true + np.float32(change)}, Precision.FP32)) == bool(reason)


def test_answers_of_another_shape_or_other_integers_fail() -> None:
    assert "no x" in difference({"x": np.zeros((1, 2))}, {"x": np.zeros((1, 3))}, Precision.FP32)
    tokens = np.arange(10)
    assert difference({"x": tokens}, {"x": tokens}, Precision.FP32) == ""
    assert "integers differ" in difference({"x": tokens}, {"x": tokens + (tokens > 7)}, Precision.FP32)


# ── the whole problem ──


def test_a_runtime_of_images_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        bert_problem(tmp_path, ["torch", "torch_compile"])
    assert error.value.code == "no-other-inputs"


def test_a_call_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    program = bert()
    examples = Examples([], [0], [1], [{"ids": np.zeros((1, LENGTH), np.int64)}])
    with pytest.raises(SettingsError) as error:
        ProgramProblem(program, nearest(program, []), "nearest-1", examples, Local(), ["torch"], tmp_path)
    assert error.value.code == "bad-call"


def test_pairs_that_nobody_asked_for_are_excluded(tmp_path: Path) -> None:
    space = bert_problem(tmp_path, ["onnxruntime", "onnxruntime:int8", "torch"]).space
    assert space.original.settings == {"runtime": "onnxruntime", "precision": "fp32", "threads": 1}
    assert "int8" in space.excluded(Candidate(plain("torch", precision="int8")))
    assert len(list(space.all())) == 3


def test_a_search_of_other_examples_is_another(tmp_path: Path) -> None:
    first = bert_problem(tmp_path, ["torch"])
    program, sentences = bert(), [sentence(seed) for seed in range(40)]
    other = Examples(sentences[30:], list(range(3, 15)), list(range(15, 24)), sentences[:2])
    assert first.identity == bert_problem(tmp_path / "elsewhere", ["torch"]).identity
    assert first.identity != ProgramProblem(program, nearest(program, sentences), "nearest-1", other, Local(), ["torch"], tmp_path).identity


@pytest.mark.slow
def test_bert_is_changed_checked_measured_and_judged(tmp_path: Path) -> None:
    program = bert()
    problem = bert_problem(tmp_path, ["onnxruntime", "torch"], [dropped_blocks(program, "bert.encoder.layer", 2, [sentence(90), sentence(91)])])
    original, shorter = (Candidate(plain("onnxruntime", dropped_blocks=count)) for count in (0, 2))
    costs = [measured(problem.cost(candidate)) for candidate in (original, shorter)]
    assert costs[1]["artefact_bytes"].value < costs[0]["artefact_bytes"].value
    assert costs[0][P50.name].interval.low <= costs[0][P50.name].value <= costs[0][P50.name].interval.high
    assert set(problem.seconds(original)) == {"make", "check", "measure"}
    quick, full = (measured(problem.quality(original, effort)) for effort in (Effort.QUICK, Effort.FULL))
    assert (quick[DROP.name].n, full[DROP.name].n) == (8, 12)
    assert full[DROP.name].value == 0  # the original agrees with itself in another runtime
    confirmation = problem.confirm([shorter])
    assert [baseline.name for baseline in confirmation.baselines] == ["ONNX Runtime fp32", "PyTorch eager fp32"]
    (confirmed,) = confirmation.candidates
    assert confirmed.failure is None
    assert confirmed.measured[DROP.name].n == 10
    assert "ONNX Runtime fp32" in confirmed.speedups  # what starts slowly is started once, which gives no pairs of processes


@pytest.mark.slow
def test_gpt_answers_in_a_runtime_and_runs_from_its_folder(tmp_path: Path) -> None:
    problem = gpt_problem(tmp_path / "work", ["openvino"])
    candidate = Candidate(plain("openvino"))
    cost = measured(problem.cost(candidate))
    assert cost[TOKEN.name].value == pytest.approx(cost[P50.name].value / 7)  # five tokens read, three generated, the last never read
    assert measured(problem.quality(candidate, Effort.FULL))[DROP.name].value == 0
    artefact = problem.artefact(candidate)
    assert isinstance(artefact, Artefact)
    folder = hand_over(artefact, prompt(60), 1, tmp_path / "out", {"answers": "three tokens"})
    told = subprocess.run(
        [sys.executable, "-P", "run.py"], cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=120, check=False
    )
    assert told.returncode == 0, told.stderr
    expected = gpt().run(reading=False)([prompt(60)])["tokens"][0].tolist()
    assert f"'tokens': array({expected}".replace(" ", "") in told.stdout.replace(" ", "")
    assert json.loads((folder / "card.json").read_text())["answers"] == "three tokens"
    with pytest.raises(RunError) as error:
        hand_over(artefact, prompt(60), 1, tmp_path / "out", {})
    assert error.value.code == "folder-not-empty"


@pytest.mark.slow
def test_an_artefact_that_answers_otherwise_has_no_time(tmp_path: Path) -> None:
    problem = bert_problem(tmp_path, ["torch"])
    broken = bert()
    with torch.no_grad():
        broken.module.bert.encoder.layer[0].output.dense.weight.mul_(5)
    reference = broken.run(reading=False)([sentence(0), sentence(1)])
    problem._reference = lambda candidate: reference  # type: ignore[method-assign]
    failure = problem.cost(Candidate(plain()))
    assert isinstance(failure, Failure)
    assert failure.code == "parity"
