"""Attribution methods and their measures against captum's, on the same images and random draws: agreement, and time as a ratio in one run.

    python benchmarks/faithfulness_agreement.py CHECKPOINT --dataset digits [--data-dir DIR] [--images 64] [--out FILE]

Infidelity and max-sensitivity of the package are compared with captum's; captum's occlusion and gradients, which the package uses, with plain loops.
"""

import argparse
import platform
from importlib.metadata import version
from pathlib import Path

import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import infidelity_perturb_func_decorator, sensitivity_max
from clock import Clock
from torch import Tensor

from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.methods.attribution.catalogue import METHODS, attribution_method
from efficient360.methods.attribution.grid import Grid, grid_of
from efficient360.methods.attribution.infidelity_and_sensitivity import MaskedLogits, infidelity, masked_logits, max_sensitivity, perturbed
from efficient360.methods.attribution.method import AttributionBatch, AttributionMethod, RandomAttribution, attribution_batches, target_logits
from efficient360.methods.attribution.occlusion import mean_colour
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
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    checkpoint = resolve(CheckpointSpec(options.checkpoint))
    model = load_model(checkpoint)
    examples = open_dataset(DatasetSpec(options.dataset, options.data_dir, max_examples=options.images), checkpoint, SEED).examples
    grid = grid_of(model)
    methods = {name: attribution_method(name, options.steps, 0) for name in METHODS} | {"random": RandomAttribution()}
    clock, differences = Clock(), {}
    for examples_batch in examples.batches(options.rows):
        for batch, real in attribution_batches(model, examples_batch, options.rows):
            compare(model, grid, batch, real, methods, options.squares, clock, differences)
    text = page(checkpoint.name, options, len(examples), clock.seconds, differences)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def compare(
    model: TorchModel,
    grid: Grid,
    batch: AttributionBatch,
    real: int,
    methods: dict[str, AttributionMethod],
    squares: int,
    clock: Clock,
    differences: dict[str, float],
) -> None:
    """One attribution batch under both."""
    attributions = {name: clock.take(f"method {name}", lambda method=method: method.attribute(model, grid, batch)) for name, method in methods.items()}
    for name, plain in (("occlusion", occlusion_loop), ("gradient-x-input", autograd_gradient_x_input)):
        note(differences, name, clock.take(f"plain {name}", lambda plain=plain: plain(model, grid, batch)), attributions[name], real)
    masked = clock.take("our infidelity", lambda: masked_logits(model, grid, batch, squares))
    for values in attributions.values():
        ours = clock.take("our infidelity", lambda values=values: infidelity(values, masked))
        theirs = clock.take("captum infidelity", lambda values=values: captum_infidelity_of(model, grid, batch, values, masked))
        zeros = captum_infidelity_of(model, grid, batch, torch.zeros_like(values), masked)
        note(differences, "infidelity", ours, theirs / zeros, real)
    for name in ("gradient-x-input", "chefer"):
        method, values = methods[name], attributions[name]
        ours = clock.take("our sensitivity", lambda m=method, v=values: max_sensitivity(lambda moved: m.attribute(model, grid, moved), v, batch, RADIUS, DRAWS))
        theirs = clock.take("captum sensitivity", lambda m=method: captum_max_sensitivity(model, grid, batch, m))
        note(differences, "max-sensitivity", ours, theirs, real)


def occlusion_loop(model: TorchModel, grid: Grid, batch: AttributionBatch) -> Tensor:
    """Occlusion in a plain loop over the cells."""
    original, baseline = target_logits(model, batch), mean_colour(batch.images)
    cells = torch.eye(grid.cells)
    occluded = (torch.where(grid.to_pixels(cells[cell : cell + 1]) > 0, baseline, batch.images) for cell in range(grid.cells))
    return torch.stack([original - target_logits(model, batch.with_images(images)) for images in occluded], 1)


def autograd_gradient_x_input(model: TorchModel, grid: Grid, batch: AttributionBatch) -> Tensor:
    """Gradient × input by torch alone."""
    images = batch.images.detach().clone().requires_grad_()
    gradient = torch.autograd.grad(model(images).gather(1, batch.targets[:, None]).sum(), images)[0]
    return grid.sum_per_cell((gradient * (batch.images - model.module.mean)).sum(1))


def captum_infidelity_of(model: TorchModel, grid: Grid, batch: AttributionBatch, values: Tensor, masked: MaskedLogits) -> Tensor:
    """Captum's infidelity with the same squares; a cell's attribution spread evenly over its pixels and channels."""
    number, pixels = masked.squares.shape[1], 3 * (grid.height // grid.rows) * (grid.width // grid.columns)
    masks = torch.stack([grid.to_pixels(masked.squares[:, i]) for i in range(number)], 1).flatten(0, 1)

    @infidelity_perturb_func_decorator(True)
    def mask(images: Tensor, baselines: Tensor) -> Tensor:
        return torch.where(masks, baselines, images)

    result: Tensor = captum_infidelity(
        model.module,
        mask,
        batch.images,
        grid.to_pixels(values).expand(-1, 3, -1, -1) / pixels,
        mean_colour(batch.images),
        target=batch.targets,
        n_perturb_samples=number,
        normalize=True,
    )
    return result


def captum_max_sensitivity(model: TorchModel, grid: Grid, batch: AttributionBatch, method: AttributionMethod) -> Tensor:
    """Captum's max-sensitivity with the same perturbed images, as many a pass as ours."""
    draws = iter(range(DRAWS))

    def attribute(images: tuple[Tensor, ...] | Tensor, target: Tensor) -> tuple[Tensor]:
        pixels = images[0] if isinstance(images, tuple) else images
        with torch.enable_grad():
            return (method.attribute(model, grid, AttributionBatch(pixels, target, batch.ids, SEED)),)

    result: Tensor = sensitivity_max(
        attribute,
        batch.images,
        lambda _images: perturbed(batch, RADIUS, next(draws)).images,
        n_perturb_samples=DRAWS,
        target=batch.targets,
        max_examples_per_batch=len(batch),
    )
    return result


def note(differences: dict[str, float], name: str, ours: Tensor, theirs: Tensor, real: int) -> None:
    """Keep the largest difference."""
    differences[name] = max(differences.get(name, 0.0), float((ours - theirs)[:real].abs().max()))


def page(name: str, options: argparse.Namespace, n: int, seconds: dict[str, float], differences: dict[str, float]) -> str:
    lines = [f"| {key.removeprefix('method ')} | {1000 * spent / n:.1f} |" for key, spent in seconds.items() if key.startswith("method ")]
    ratios = [
        f"| {what} | {1000 * seconds[a] / n:.1f} | {1000 * seconds[b] / n:.1f} | {seconds[a] / seconds[b]:.2f} | {differences[key]:.1g} | {used} |"
        for what, a, b, key, used in (
            ("infidelity of all seven", "our infidelity", "captum infidelity", "infidelity", "ours"),
            ("max-sensitivity of two", "our sensitivity", "captum sensitivity", "max-sensitivity", "ours"),
            ("occlusion", "plain occlusion", "method occlusion", "occlusion", "captum"),
            ("gradient × input", "plain gradient-x-input", "method gradient-x-input", "gradient-x-input", "captum"),
        )
    ]
    return "\n".join(
        [
            "# Attribution methods and their measures against captum's",
            "",
            f"Written by `python benchmarks/faithfulness_agreement.py` ({name} on {options.dataset}, {n} images, {options.rows} a pass, "
            f"{options.squares} squares, {options.steps} steps, torch {torch.__version__.partition('+')[0]}, captum {version('captum')}, "
            f"{platform.machine()}, {options.threads} thread).",
            "",
            "| what | ours or a plain loop, ms an image | captum | ratio | largest difference | used |",
            "| --- | --- | --- | --- | --- | --- |",
            *ratios,
            "",
            "| method | ms an image |",
            "| --- | --- |",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()
