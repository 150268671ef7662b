"""Faithfulness end to end: planted objects, linear models, networks without attention, settings that make no sense."""

import json
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
from efficient360.execution.plan import configure
from efficient360.execution.runner import checked
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.model import PixelsToLogits, TorchModel

SIZE = (3, 16, 16)
ANY = ("integrated-gradients", "gradient-x-input", "occlusion")
FAST: dict[str, Any] = {"explainers": ANY, "points": 4, "steps": 2, "squares": 4, "draws": 1, "checked": 2, "shown": 1}
TOKENS = ("gradcam", "attention-rollout", "chefer")


class OneCell(nn.Module):
    """Looks at the brightness of one cell of 4 × 4 pixels, above mid-grey or below it."""

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
    """A network that looks at the cell in row 1, column 2, and dark noise where that cell is bright."""
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
    """Outcomes by metric, and explainer, baseline and what was shuffled, joined."""
    folder.mkdir(exist_ok=True)
    with torch.no_grad():
        logits = model(images)
    held = Held(images, logits.argmax(1).numpy(), logits, range(len(images)))
    checkpoint = Checkpoint(CheckpointSpec("x"), "x", "x", {}, Origin.FILE, None, "", Preprocessing(model.size, (0, 0, 0), (1, 1, 1)), model.classes)
    context = Context(checkpoint, held, None, 0, batch_size, Deadline(), folder)
    table = score_all(evaluator, model, held, context, context.progress)
    found = checked(evaluator, outcomes_of(evaluator, model, table, replace(context, deadline=Deadline(examined_until))))
    told = ("explainer", "baseline", "randomised")
    return {(o.metric.name if o.metric else "", " ".join(str(o.conditions[key]) for key in told if key in o.conditions)): o for o in found}


def value(outcome: Outcome) -> float:
    assert isinstance(outcome, Measurement)
    return outcome.value


@pytest.mark.slow
def test_it_keeps_the_contract_with_every_explainer() -> None:
    check(Faithfulness(points=3, steps=3, squares=3, draws=1, checked=3, shown=2))


def test_on_a_network_that_looks_at_one_cell_every_explainer_finds_it(tmp_path: Path) -> None:
    model, images = planted()
    regions = tmp_path / "boxes.csv"
    regions.write_text("id,left,top,right,bottom\n" + "".join(f"x{i},0.5,0.25,0.75,0.5\n" for i in range(5)))
    found = measured(Faithfulness(**FAST | {"points": 16, "squares": 40, "regions": str(regions)}), model, images, tmp_path / "run")
    for name in ANY:
        assert value(found["pointing_accuracy", name]) == 1.0
        assert value(found["localisation", name]) == pytest.approx(1)
        # sure at the first point (its trapezium is all that is lost), and undone at the first
        assert value(found["insertion_auc", f"{name} mean"]) > 0.96
        assert value(found["deletion_auc", f"{name} mean"]) < 0.04
        assert value(found["infidelity", name]) < 1e-4
        assert value(found["sparseness", name]) == pytest.approx(15 / 16, abs=0.01)
    pointing = found["pointing_accuracy", "random"]
    assert isinstance(pointing, Measurement)
    assert pointing.n == 5  # one example has no box
    assert pointing.value < 1
    inside = found["localisation", "random"]
    assert isinstance(inside, Measurement)
    assert inside.n == 5
    assert 1 / 48 < inside.value < 3 / 16  # about the box's share of the image
    assert inside.interval is not None
    assert inside.interval.low < inside.value < inside.interval.high
    best = found["best_faithfulness", ""]
    assert isinstance(best, Measurement)
    assert isinstance(best.extra[0], Table)
    assert best.extra[0].columns[-2:] == ("Pointing ↑", "Localisation ↑")
    assert best.extra[0].rows[0][-2:] == ("1.000", "1.000")
    assert value(found["best_faithfulness", ""]) > 0.5
    random = [value(found[f"{cells}_auc", "random mean"]) for cells in ("insertion", "deletion")]
    assert value(found["faithfulness", ANY[0]]) == pytest.approx(
        np.mean(
            [
                value(found["insertion_auc", f"{ANY[0]} {blank}"])
                - value(found["deletion_auc", f"{ANY[0]} {blank}"])
                - value(found["insertion_auc", f"random {blank}"])
                + value(found["deletion_auc", f"random {blank}"])
                for blank in ("mean", "blur")
            ]
        )
    )
    assert all(0.02 < one < 0.98 for one in random)


def test_a_linear_model_is_explained_completely_and_its_explanation_goes_with_its_weights(tmp_path: Path) -> None:
    model, images = linear(12)
    found = measured(Faithfulness(**FAST | {"checked": 12}), model, images, tmp_path)
    assert value(found["completeness", "integrated-gradients"]) == 1.0
    for name in ANY:
        assert abs(value(found["randomised_similarity", f"{name} all"])) < 0.25
        assert value(found["max_sensitivity", name]) < 0.3
    assert value(found["infidelity", "occlusion"]) < 1e-6
    assert value(found["randomised_similarity", "random all"]) == pytest.approx(1)
    assert value(found["max_sensitivity", "random"]) == 0
    assert value(found["infidelity", "random"]) > 0.3
    assert value(found["faithfulness", "occlusion"]) > 0


def test_what_a_network_without_tokens_cant_show_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    model, images = linear()
    found = measured(Faithfulness(**FAST | {"explainers": ("gradient-x-input", *TOKENS)}), model, images, tmp_path)
    for name in TOKENS:
        failure = found["faithfulness", name]
        assert isinstance(failure, Failure)
        assert (failure.status, failure.code) == (Status.UNSUPPORTED, "no-tokens")
    assert isinstance(found["faithfulness", "gradient-x-input"], Measurement)
    assert isinstance(found["best_faithfulness", ""], Measurement)
    alone = measured(Faithfulness(**FAST | {"explainers": TOKENS}), model, images, tmp_path / "alone")
    best = alone["best_faithfulness", ""]
    assert isinstance(best, Failure)
    assert best.code == "no-explainer"
    assert isinstance(alone["insertion_auc", "random mean"], Measurement)


def test_a_vit_gives_every_figure(tmp_path: Path) -> None:
    on = subject()
    images = torch.rand((5, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    found = measured(Faithfulness(**FAST | {"explainers": (*ANY, *TOKENS), "shown": 2}), on.model, images, tmp_path)
    best = found["best_faithfulness", ""]
    assert isinstance(best, Measurement)
    assert best.n == 5
    table, gallery, *curves, heatmap = best.extra
    assert isinstance(table, Table)
    titles = ["Integrated Gradients", "Gradient × input", "Occlusion", "Grad-CAM", "Attention rollout", "Chefer relevance", "Random"]
    assert [row[0] for row in table.rows] == titles
    assert isinstance(gallery, Gallery)
    assert len(gallery.pictures) == 2 * 7
    assert [type(one) for one in curves] == [Curve] * 4
    assert isinstance(heatmap, Heatmap)
    assert heatmap.columns == ("head", "upper half", "all")
    for curve in curves:
        assert isinstance(curve, Curve)
        assert curve.series[0].style == "reference"
        assert len({series.y[0] for series in curve.series}) == len({series.y[-1] for series in curve.series}) == 1
        for series, name in zip(curve.series, ("random", *ANY, *TOKENS), strict=True):
            kind, blank = "insertion_auc" if "Insertion" in curve.title else "deletion_auc", "blur" if "blurred" in curve.title else "mean"
            assert np.trapezoid(series.y, series.x) == pytest.approx(value(found[kind, f"{name} {blank}"]), abs=1e-6)
    pointing = found["pointing_accuracy", ""]
    assert isinstance(pointing, Failure)
    assert (pointing.status, pointing.code) == (Status.UNSUPPORTED, "no-regions")


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3])
def test_batch_size_changes_nothing(batch_size: int, tmp_path: Path) -> None:
    on = subject()
    images = torch.rand((7, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    evaluator = Faithfulness(**FAST | {"explainers": ("gradient-x-input", "gradcam", "chefer"), "rows": 4})
    whole, parts = (measured(evaluator, on.model, images, tmp_path / str(size), size) for size in (64, batch_size))
    assert {key: getattr(one, "value", None) for key, one in parts.items()} == {key: getattr(one, "value", None) for key, one in whole.items()}


def test_a_file_of_regions_without_our_examples_is_told(tmp_path: Path) -> None:
    model, images = linear(2)
    regions = tmp_path / "boxes.csv"
    regions.write_text("id,left,top,right,bottom\nelse,0,0,1,1\n")
    evaluator = Faithfulness(**FAST | {"explainers": ("occlusion",), "regions": str(regions)})
    failure = measured(evaluator, model, images, tmp_path / "run")["pointing_accuracy", ""]
    assert isinstance(failure, Failure)
    assert failure.message == f"{regions} marks no object of any example, so neither pointing nor localisation could be measured"


def test_masks_say_what_boxes_say(tmp_path: Path) -> None:
    model, images = planted()
    boxes, masks = tmp_path / "boxes.csv", tmp_path / "masks"
    boxes.write_text("id,left,top,right,bottom\n" + "".join(f"x{i},0.5,0.25,0.875,0.5\n" for i in range(4)))
    masks.mkdir()
    pixels = np.zeros((16, 16), np.uint8)
    pixels[4:8, 8:14] = 1
    for i in range(4):
        Image.fromarray(pixels).save(masks / f"x{i}.png")
    alone = FAST | {"explainers": ("occlusion",)}
    found = [measured(Faithfulness(**alone | {"regions": str(path)}), model, images, tmp_path / path.stem) for path in (boxes, masks)]
    for key in (("pointing_accuracy", "occlusion"), ("pointing_accuracy", "random"), ("localisation", "occlusion"), ("localisation", "random")):
        assert value(found[0][key]) == value(found[1][key])
    Image.fromarray(pixels[:8]).save(masks / "x2.png")
    with pytest.raises(SettingsError, match=r"the mask .*x2\.png has 16 × 8 pixels, and the model sees images of 16 × 16"):
        measured(Faithfulness(**alone | {"regions": str(masks)}), model, images, tmp_path / "wrong")


def test_an_explainer_of_ones_own_joins_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "centre.py"
    path.write_text(
        textwrap.dedent('''
        from dataclasses import dataclass
        from typing import ClassVar

        import torch

        from efficient360.methods.attribution.explainer import Explainer


        @dataclass(frozen=True)
        class Centre(Explainer):
            """Near the centre."""

            name: ClassVar[str] = "centre"
            title: ClassVar[str] = "Centre"
            source: ClassVar[str] = "ours"

            def require(self, model):
                pass

            def explain(self, model, grid, question):
                near = -((torch.linspace(-1, 1, grid.rows)[:, None]) ** 2 + torch.linspace(-1, 1, grid.columns) ** 2)
                return near.flatten().expand(len(question), -1)


        EXPLAINER = Centre()
    ''')
    )
    model, images = linear()
    found = measured(Faithfulness(**FAST | {"explainers": (str(path), "occlusion")}), model, images, tmp_path / "run")
    assert value(found["randomised_similarity", "centre all"]) == pytest.approx(1)
    assert value(found["max_sensitivity", "centre"]) == 0
    assert value(found["faithfulness", "centre"]) < value(found["faithfulness", "occlusion"])
    assert len(Faithfulness(explainers=(str(path),)).surroundings()["files"]) == 1  # type: ignore[arg-type]


def test_the_key_of_a_result_holds_what_the_file_of_regions_says(tmp_path: Path) -> None:
    regions = tmp_path / "boxes.csv"
    kept = []
    for right in ("1", "0.5"):
        regions.write_text(f"id,left,top,right,bottom\na,0,0,{right},1\n")
        kept.append(json.dumps(Faithfulness(regions=str(regions)).surroundings()))
    assert len({*kept, json.dumps(Faithfulness().surroundings())}) == 3


def test_the_checks_stop_when_time_is_up(tmp_path: Path) -> None:
    model, images = linear(2)
    with pytest.raises(OutOfTime):
        measured(Faithfulness(**FAST), model, images, tmp_path, examined_until=0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"explainers": ["lime"]}, "there is no explainer called 'lime'"),
        ({"explainers": []}, r"the setting explainers of faithfulness is \[\]"),
        ({"explainers": ["chefer", "chefer"]}, "the setting explainers of faithfulness is"),
        ({"baselines": ["black"]}, r"the setting baselines of faithfulness is \['black'\]"),
        ({"baselines": []}, "the setting baselines of faithfulness"),
        ({"examples": 0}, "the setting examples of faithfulness is 0"),
        ({"points": 0}, "the setting points of faithfulness is 0"),
        ({"steps": 0}, "the setting steps of faithfulness is 0"),
        ({"squares": 0}, "the setting squares of faithfulness is 0"),
        ({"draws": 0}, "the setting draws of faithfulness is 0"),
        ({"checked": 0}, "the setting checked of faithfulness is 0"),
        ({"rows": 0}, "the setting rows of faithfulness is 0"),
        ({"shown": -1}, "the setting shown of faithfulness is -1"),
        ({"radius": 0}, "the setting radius of faithfulness is 0"),
        ({"regions": "no-such.csv"}, "there is no file or folder of regions no-such.csv"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        configure(Faithfulness, settings)
