"""Faithfulness end to end: planted objects, linear models, networks without attention, invalid settings."""

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from simple_robust import Held
from torch import Tensor, nn

from efficient360.conformance import check, subject
from efficient360.core.figures import Curve, Gallery, Heatmap, Table
from efficient360.core.measurement import Failure, Measurement, Outcome, Status
from efficient360.errors import OutOfTime, SettingsError
from efficient360.evaluator import Context, Deadline
from efficient360.evaluators.faithfulness import Faithfulness
from efficient360.execution.contract import checked
from efficient360.execution.plan import configure
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.model import PixelsToLogits, TorchModel

SIZE = (3, 16, 16)
ANY = ("integrated-gradients", "gradient-x-input", "occlusion")
FAST: dict[str, Any] = {"explainers": ANY, "points": 4, "steps": 2, "squares": 4, "draws": 1, "checked": 2, "shown": 1}
TOKENS = ("gradcam", "attention-rollout", "chefer")


class OneCell(nn.Module):
    """Classifies by the brightness of one cell of 4 × 4 pixels, above mid-grey or below it."""

    def __init__(self, row: int, column: int) -> None:
        super().__init__()
        self.row, self.column = row, column
        self.slope = nn.Parameter(torch.tensor([12.0, -12.0]))

    def forward(self, images: Tensor) -> Tensor:
        brightness = images[:, :, 4 * self.row : 4 * self.row + 4, 4 * self.column : 4 * self.column + 4].mean((1, 2, 3))
        return brightness[:, None] * self.slope


def model_of(network: nn.Module, classes: int) -> TorchModel:
    return TorchModel(PixelsToLogits(network, [0.5] * 3, [1.0] * 3, None).eval().requires_grad_(False), SIZE, classes)


def planted(n: int = 6) -> tuple[TorchModel, Tensor]:
    """A network that uses only the cell in row 1, column 2, and dark noise where that cell is bright."""
    images = 0.2 * torch.rand((n, *SIZE), generator=torch.Generator().manual_seed(0))
    images[:, :, 4:8, 8:12] = 1.0
    return model_of(OneCell(1, 2), 2), images


def linear(n: int = 6, classes: int = 5) -> tuple[TorchModel, Tensor]:
    layer = nn.Linear(768, classes)
    with torch.no_grad():
        layer.weight.copy_(0.3 * torch.randn((classes, 768), generator=torch.Generator().manual_seed(0)))
        layer.bias.zero_()
    return model_of(nn.Sequential(nn.Flatten(), layer), classes), torch.rand((n, *SIZE), generator=torch.Generator().manual_seed(1))


def measured(
    evaluator: Faithfulness, model: TorchModel, images: Tensor, folder: Path, batch_size: int = 64, examined_until: float | None = None
) -> dict[tuple[str, str], Outcome]:
    """Outcomes by metric, and by explainer, baseline and stage of randomisation, joined."""
    folder.mkdir(exist_ok=True)
    with torch.no_grad():
        logits = model(images)
    held = Held(images, logits.argmax(1).numpy(), logits, range(len(images)))
    checkpoint = Checkpoint(CheckpointSpec("x"), "x", "x", {}, Origin.FILE, None, "", Preprocessing(model.size, (0, 0, 0), (1, 1, 1)), model.classes)
    context = Context(checkpoint, held, None, 0, batch_size, Deadline(), folder)
    table = score_all(evaluator, model, held, context, context.progress)
    outcomes = checked(evaluator, outcomes_of(evaluator, model, table, replace(context, deadline=Deadline(examined_until))))
    keys = ("explainer", "baseline", "randomised")
    return {(o.metric.name if o.metric else "", " ".join(str(o.conditions[key]) for key in keys if key in o.conditions)): o for o in outcomes}


def value(outcome: Outcome) -> float:
    assert isinstance(outcome, Measurement)
    return outcome.value


@pytest.mark.slow
def test_it_keeps_the_contract_with_every_explainer() -> None:
    check(Faithfulness(points=3, steps=3, squares=3, draws=1, checked=3, shown=2))


def test_every_method_finds_the_only_cell_that_a_network_uses(tmp_path: Path) -> None:
    model, images = planted()
    regions = tmp_path / "boxes.csv"
    regions.write_text("id,left,top,right,bottom\n" + "".join(f"x{i},0.5,0.25,0.75,0.5\n" for i in range(5)))
    outcomes = measured(Faithfulness(**FAST | {"points": 16, "squares": 40, "regions": str(regions)}), model, images, tmp_path / "run")
    for name in ANY:
        assert value(outcomes["pointing_accuracy", name]) == 1.0
        assert value(outcomes["localisation", name]) == pytest.approx(1)
        # certain from the first point on, so only its trapezoid is lost
        assert value(outcomes["insertion_auc", f"{name} mean"]) > 0.96
        assert value(outcomes["deletion_auc", f"{name} mean"]) < 0.04
        assert value(outcomes["infidelity", name]) < 1e-4
        assert value(outcomes["sparseness", name]) == pytest.approx(15 / 16, abs=0.01)
    pointing = outcomes["pointing_accuracy", "random"]
    assert isinstance(pointing, Measurement)
    assert pointing.n == 5  # one example has no box
    assert pointing.value < 1
    inside = outcomes["localisation", "random"]
    assert isinstance(inside, Measurement)
    assert inside.n == 5
    assert 1 / 48 < inside.value < 3 / 16  # about the box's share of the image
    assert inside.interval is not None
    assert inside.interval.low < inside.value < inside.interval.high
    best = outcomes["best_faithfulness", ""]
    assert isinstance(best, Measurement)
    assert isinstance(best.extra[0], Table)
    assert best.extra[0].columns[-2:] == ("Pointing game ↑", "Relevance mass accuracy ↑")
    assert best.extra[0].rows[0][-2:] == ("1.000", "1.000")
    assert value(outcomes["best_faithfulness", ""]) > 0.5
    random = [value(outcomes[f"{cells}_auc", "random mean"]) for cells in ("insertion", "deletion")]
    assert value(outcomes["faithfulness", ANY[0]]) == pytest.approx(
        np.mean(
            [
                value(outcomes["insertion_auc", f"{ANY[0]} {baseline}"])
                - value(outcomes["deletion_auc", f"{ANY[0]} {baseline}"])
                - value(outcomes["insertion_auc", f"random {baseline}"])
                + value(outcomes["deletion_auc", f"random {baseline}"])
                for baseline in ("mean", "blur")
            ]
        )
    )
    assert all(0.02 < area < 0.98 for area in random)


def test_a_linear_model_has_complete_attributions_that_change_with_its_parameters(tmp_path: Path) -> None:
    model, images = linear(12)
    outcomes = measured(Faithfulness(**FAST | {"checked": 12}), model, images, tmp_path)
    assert value(outcomes["completeness", "integrated-gradients"]) == 1.0
    for name in ANY:
        assert abs(value(outcomes["randomised_similarity", f"{name} all"])) < 0.25
        assert value(outcomes["max_sensitivity", name]) < 0.3
    assert value(outcomes["infidelity", "occlusion"]) < 1e-6
    assert value(outcomes["randomised_similarity", "random all"]) == pytest.approx(1)
    assert value(outcomes["max_sensitivity", "random"]) == 0
    assert value(outcomes["infidelity", "random"]) > 0.3
    assert value(outcomes["faithfulness", "occlusion"]) > 0


def test_unsupported_methods_fail_and_the_others_are_measured(tmp_path: Path) -> None:
    model, images = linear()
    outcomes = measured(Faithfulness(**FAST | {"explainers": ("gradient-x-input", *TOKENS)}), model, images, tmp_path)
    for name in TOKENS:
        failure = outcomes["faithfulness", name]
        assert isinstance(failure, Failure)
        assert (failure.status, failure.code) == (Status.UNSUPPORTED, "no-tokens")
    assert isinstance(outcomes["faithfulness", "gradient-x-input"], Measurement)
    assert isinstance(outcomes["best_faithfulness", ""], Measurement)
    alone = measured(Faithfulness(**FAST | {"explainers": TOKENS}), model, images, tmp_path / "alone")
    best = alone["best_faithfulness", ""]
    assert isinstance(best, Failure)
    assert best.code == "no-explainer"
    assert isinstance(alone["insertion_auc", "random mean"], Measurement)


def test_a_vit_gives_every_figure(tmp_path: Path) -> None:
    on = subject()
    images = torch.rand((5, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    outcomes = measured(Faithfulness(**FAST | {"explainers": (*ANY, *TOKENS), "shown": 2}), on.model, images, tmp_path)
    best = outcomes["best_faithfulness", ""]
    assert isinstance(best, Measurement)
    assert best.n == 5
    table, gallery, *curves, heatmap = best.extra
    assert isinstance(table, Table)
    titles = ["Integrated Gradients", "Gradient × input", "Occlusion", "Grad-CAM", "Attention rollout", "Chefer relevance", "Random"]
    assert [row[0] for row in table.rows] == titles
    assert isinstance(gallery, Gallery)
    assert len(gallery.pictures) == 2 * 7
    assert [type(curve) for curve in curves] == [Curve] * 4
    assert isinstance(heatmap, Heatmap)
    assert heatmap.columns == ("head", "upper half", "all")
    for curve in curves:
        assert isinstance(curve, Curve)
        assert curve.series[0].style == "reference"
        assert len({series.y[0] for series in curve.series}) == len({series.y[-1] for series in curve.series}) == 1
        for series, name in zip(curve.series, ("random", *ANY, *TOKENS), strict=True):
            kind, baseline = "insertion_auc" if "Insertion" in curve.title else "deletion_auc", "blur" if "blurred" in curve.title else "mean"
            assert np.trapezoid(series.y, series.x) == pytest.approx(value(outcomes[kind, f"{name} {baseline}"]), abs=1e-6)
    pointing = outcomes["pointing_accuracy", ""]
    assert isinstance(pointing, Failure)
    assert (pointing.status, pointing.code) == (Status.UNSUPPORTED, "no-regions")


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3])
def test_batch_size_changes_nothing(batch_size: int, tmp_path: Path) -> None:
    on = subject()
    images = torch.rand((7, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    evaluator = Faithfulness(**FAST | {"explainers": ("gradient-x-input", "gradcam", "chefer"), "rows": 4})
    whole, parts = (measured(evaluator, on.model, images, tmp_path / str(size), size) for size in (64, batch_size))
    assert {key: getattr(outcome, "value", None) for key, outcome in parts.items()} == {key: getattr(outcome, "value", None) for key, outcome in whole.items()}


def test_regions_of_other_examples_are_reported(tmp_path: Path) -> None:
    model, images = linear(2)
    regions = tmp_path / "boxes.csv"
    regions.write_text("id,left,top,right,bottom\nelse,0,0,1,1\n")
    evaluator = Faithfulness(**FAST | {"explainers": ("occlusion",), "regions": str(regions)})
    failure = measured(evaluator, model, images, tmp_path / "run")["pointing_accuracy", ""]
    assert isinstance(failure, Failure)
    assert failure.code == "no-regions"
    assert str(regions) in failure.message


def test_masks_and_boxes_of_the_same_region_agree(tmp_path: Path) -> None:
    model, images = planted()
    boxes, masks = tmp_path / "boxes.csv", tmp_path / "masks"
    boxes.write_text("id,left,top,right,bottom\n" + "".join(f"x{i},0.5,0.25,0.875,0.5\n" for i in range(4)))
    masks.mkdir()
    pixels = np.zeros((16, 16), np.uint8)
    pixels[4:8, 8:14] = 1
    for i in range(4):
        Image.fromarray(pixels).save(masks / f"x{i}.png")
    alone = FAST | {"explainers": ("occlusion",)}
    outcomes = [measured(Faithfulness(**alone | {"regions": str(path)}), model, images, tmp_path / path.stem) for path in (boxes, masks)]
    for key in (("pointing_accuracy", "occlusion"), ("pointing_accuracy", "random"), ("localisation", "occlusion"), ("localisation", "random")):
        assert value(outcomes[0][key]) == value(outcomes[1][key])
    Image.fromarray(pixels[:8]).save(masks / "x2.png")
    with pytest.raises(SettingsError, match=r"x2\.png") as caught:
        measured(Faithfulness(**alone | {"regions": str(masks)}), model, images, tmp_path / "wrong")
    assert caught.value.code == "bad-regions"


def test_a_users_own_method_is_loaded_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "centre.py"
    path.write_text(
        textwrap.dedent('''
        from dataclasses import dataclass
        from typing import ClassVar

        import torch

        from efficient360.methods.attribution.method import AttributionMethod


        @dataclass(frozen=True)
        class Centre(AttributionMethod):
            """Near the centre."""

            name: ClassVar[str] = "centre"
            title: ClassVar[str] = "Centre"
            source: ClassVar[str] = "ours"

            def require(self, model):
                pass

            def attribute(self, model, grid, batch):
                near = -((torch.linspace(-1, 1, grid.rows)[:, None]) ** 2 + torch.linspace(-1, 1, grid.columns) ** 2)
                return near.flatten().expand(len(batch), -1)


        EXPLAINER = Centre()
    ''')
    )
    model, images = linear()
    outcomes = measured(Faithfulness(**FAST | {"explainers": (str(path), "occlusion")}), model, images, tmp_path / "run")
    assert value(outcomes["randomised_similarity", "centre all"]) == pytest.approx(1)
    assert value(outcomes["max_sensitivity", "centre"]) == 0
    assert value(outcomes["faithfulness", "centre"]) < value(outcomes["faithfulness", "occlusion"])


def test_the_sanity_checks_stop_at_the_deadline(tmp_path: Path) -> None:
    model, images = linear(2)
    with pytest.raises(OutOfTime):
        measured(Faithfulness(**FAST), model, images, tmp_path, examined_until=0.0)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"explainers": ["lime"]}, "unknown-explainer"),
        ({"explainers": []}, "bad-setting"),
        ({"explainers": ["chefer", "chefer"]}, "bad-setting"),
        ({"baselines": ["black"]}, "bad-setting"),
        ({"baselines": []}, "bad-setting"),
        ({"baselines": ["mean", "mean"]}, "bad-setting"),
        ({"examples": 0}, "bad-setting"),
        ({"points": 0}, "bad-setting"),
        ({"steps": 0}, "bad-setting"),
        ({"squares": 0}, "bad-setting"),
        ({"draws": 0}, "bad-setting"),
        ({"checked": 0}, "bad-setting"),
        ({"rows": 0}, "bad-setting"),
        ({"shown": -1}, "bad-setting"),
        ({"radius": 0}, "bad-setting"),
        ({"radius": 1.1}, "bad-setting"),
        ({"regions": "no-such.csv"}, "bad-regions"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], code: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configure(Faithfulness, settings)
    assert caught.value.code == code
    if code == "bad-setting":
        assert next(iter(settings)) in caught.value.message


def test_two_methods_of_the_same_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from efficient360.methods.attribution.occlusion import Occlusion\n\nEXPLAINER = Occlusion()\n")
    with pytest.raises(SettingsError, match="explainers") as caught:
        configure(Faithfulness, {"explainers": ["occlusion", str(path)]})
    assert caught.value.code == "bad-setting"
