"""Our explanations and their infidelity against captum's, on the same images and draws: agreement, and time as a ratio in one run.

    python benchmarks/faithfulness_agreement.py CHECKPOINT --dataset digits [--data-dir DIR] [--images 64] [--out FILE]

Captum gets what it is given by its users: a function that covers, an attribution per pixel, all images of a pass at once.
"""

import argparse
import platform
from importlib.metadata import version
from pathlib import Path

import torch
from captum.attr import Occlusion as CaptumOcclusion
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import infidelity_perturb_func_decorator, sensitivity_max
from clock import Clock
from torch import Tensor

from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.methods.attribution.blanks import mean
from efficient360.methods.attribution.catalogue import EXPLAINERS, explainer
from efficient360.methods.attribution.chance import Chance
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.grid import Grid, grid_of
from efficient360.methods.attribution.infidelity import Covered, covered, infidelity
from efficient360.methods.attribution.occlusion import Occlusion
from efficient360.methods.attribution.question import Question, questions
from efficient360.methods.attribution.sensitivity import max_sensitivity, nearby
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.model import TorchModel
from efficient360.models.references import resolve

SEED, RADIUS, DRAWS = 0, 0.02, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--squares", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    checkpoint = resolve(CheckpointSpec(asked.checkpoint))
    model = load_model(checkpoint)
    examples = open_dataset(DatasetSpec(asked.dataset, asked.data_dir, max_examples=asked.images), checkpoint, SEED).examples
    grid = grid_of(model)
    explainers = [*(explainer(name, asked.steps, 0) for name in EXPLAINERS), Chance()]
    clock, gaps = Clock(), {}
    for batch in examples.batches(asked.rows):
        for question, real in questions(model, batch, asked.rows):
            compare(model, grid, question, real, explainers, asked.squares, clock, gaps)
    text = page(checkpoint.name, asked, len(examples), clock.seconds, gaps)
    print(text)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")


def compare(
    model: TorchModel, grid: Grid, question: Question, real: int, explainers: list[Explainer], squares: int, clock: Clock, gaps: dict[str, float]
) -> None:
    """One pass of images under both."""
    values = {one.name: clock.take(f"explain {one.name}", lambda one=one: one.explain(model, grid, question)) for one in explainers}
    blank = mean(question.images)
    cell = (3, grid.height // grid.rows, grid.width // grid.columns)
    theirs = clock.take("captum occlusion", lambda: CaptumOcclusion(model.module).attribute(question.images, cell, cell, blank, question.classes))
    note(gaps, "occlusion", values[Occlusion.name], theirs[:, 0, :: cell[1], :: cell[2]].flatten(1), real)
    what = clock.take("our infidelity", lambda: covered(model, grid, question, squares))
    for one in explainers:
        ours = clock.take("our infidelity", lambda one=one: infidelity(values[one.name], what))
        other = clock.take("captum infidelity", lambda one=one: captums(model, grid, question, values[one.name], what))
        zeros = captums(model, grid, question, torch.zeros_like(values[one.name]), what)
        note(gaps, "infidelity", ours, other / zeros, real)
    cheap = [one for one in explainers if one.name in ("gradient-x-input", "chefer")]
    for one in cheap:
        ours = clock.take("our sensitivity", lambda one=one: max_sensitivity(lambda q: one.explain(model, grid, q), values[one.name], question, RADIUS, DRAWS))
        other = clock.take("captum sensitivity", lambda one=one: captums_sensitivity(model, grid, question, one))
        note(gaps, "max-sensitivity", ours, other, real)


def captums(model: TorchModel, grid: Grid, question: Question, values: Tensor, what: Covered) -> Tensor:
    """Captum's infidelity with the same squares; a cell's value shared out evenly among its pixels and channels."""
    number, pixels = what.cells.shape[1], 3 * (grid.height // grid.rows) * (grid.width // grid.columns)
    drawn = torch.stack([grid.spread(what.cells[:, i]) for i in range(number)], 1).flatten(0, 1)

    @infidelity_perturb_func_decorator(True)
    def cover(images: Tensor, baselines: Tensor) -> Tensor:
        return torch.where(drawn, baselines, images)

    found: Tensor = captum_infidelity(
        model.module,
        cover,
        question.images,
        grid.spread(values).expand(-1, 3, -1, -1) / pixels,
        mean(question.images),
        target=question.classes,
        n_perturb_samples=number,
        normalize=True,
    )
    return found


def captums_sensitivity(model: TorchModel, grid: Grid, question: Question, one: Explainer) -> Tensor:
    """Captum's max-sensitivity with the same moved images."""
    moved = torch.stack([nearby(question, RADIUS, draw).images for draw in range(DRAWS)], 1).flatten(0, 1)

    def explain(images: tuple[Tensor, ...] | Tensor, target: Tensor) -> tuple[Tensor]:
        pixels = images[0] if isinstance(images, tuple) else images
        with torch.enable_grad():
            return (one.explain(model, grid, Question(pixels, target, question.ids * (len(pixels) // len(question)), SEED)),)

    found: Tensor = sensitivity_max(explain, question.images, lambda _images: moved, n_perturb_samples=DRAWS, target=question.classes)
    return found


def note(gaps: dict[str, float], name: str, ours: Tensor, theirs: Tensor, real: int) -> None:
    """Keep the largest difference."""
    gaps[name] = max(gaps.get(name, 0.0), float((ours - theirs)[:real].abs().max()))


def page(name: str, asked: argparse.Namespace, n: int, seconds: dict[str, float], gaps: dict[str, float]) -> str:
    lines = [f"| {key.removeprefix('explain ')} | {1000 * spent / n:.1f} |" for key, spent in seconds.items() if key.startswith("explain ")]
    ratios = [
        f"| {what} | {1000 * seconds[ours] / n:.1f} | {1000 * seconds[theirs] / n:.1f} | {seconds[ours] / seconds[theirs]:.2f} | {gaps[key]:.1g} |"
        for what, ours, theirs, key in (
            ("infidelity of all seven", "our infidelity", "captum infidelity", "infidelity"),
            ("max-sensitivity of two", "our sensitivity", "captum sensitivity", "max-sensitivity"),
            ("occlusion", "explain occlusion", "captum occlusion", "occlusion"),
        )
    ]
    return "\n".join(
        [
            "# Explanations and their measures against captum's",
            "",
            f"Written by `python benchmarks/faithfulness_agreement.py` ({name} on {asked.dataset}, {n} images, {asked.rows} a pass, {asked.squares} squares, "
            f"{asked.steps} steps, torch {torch.__version__.partition('+')[0]}, captum {version('captum')}, {platform.machine()}, {asked.threads} thread).",
            "",
            "| what | ours, ms an image | captum | ours ÷ captum | largest difference |",
            "| --- | --- | --- | --- | --- |",
            *ratios,
            "",
            "| explainer | ms an image |",
            "| --- | --- |",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()
