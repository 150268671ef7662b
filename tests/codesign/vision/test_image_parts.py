from pathlib import Path

import numpy as np
import pytest

from efficient360.codesign.space import Candidate
from efficient360.codesign.vision.judging import Answers, resized
from efficient360.codesign.vision.knobs import Target, space_of
from efficient360.codesign.vision.optimize import completed_goals, threads_of
from efficient360.codesign.vision.original import Original, open_original
from efficient360.codesign.vision.variants import Variants
from efficient360.datasets.spec import DatasetSpec
from efficient360.deployment.devices.device import DeviceDescription
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.errors import CheckpointError, DatasetError, SettingsError
from efficient360.models.checkpoint import CheckpointSpec

TARGETS = (Target("litert", "LiteRT", (Precision.FP32, Precision.INT8)), Target("openvino", "OpenVINO", (Precision.FP32, Precision.BF16)))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return open_original(CheckpointSpec("digits-vit"), DatasetSpec("digits"), tmp_path_factory.mktemp("search"), 0)


def test_no_image_does_two_things(original: Original) -> None:
    parts = original.parts
    selection, final, calibration = (set(part.ids) for part in (parts.selection, parts.final, parts.calibration))
    assert not selection & final
    assert not calibration & (selection | final)
    assert parts.training is not None
    assert not set(parts.training.ids) & (selection | final)
    assert len(selection) + len(final) == 897
    assert parts.quick == 256


def test_the_same_seed_divides_alike_and_classes_are_shared_out(original: Original) -> None:
    again = open_original(CheckpointSpec("digits-vit"), DatasetSpec("digits"), Path("unused"), 0)
    other = open_original(CheckpointSpec("digits-vit"), DatasetSpec("digits"), Path("unused"), 1)
    assert again.identity == original.identity != other.identity
    shares = np.bincount(original.parts.final.labels) / len(original.parts.final)
    assert shares.min() > 0.07


def test_few_images_are_refused() -> None:
    with pytest.raises(DatasetError) as error:
        open_original(CheckpointSpec("digits-vit"), DatasetSpec("digits", max_examples=40), Path("unused"), 0)
    assert error.value.code == "too-few-images"


def test_random_weights_have_nothing_to_lose() -> None:
    spec = CheckpointSpec("vit_tiny_patch16_224", arguments={"img_size": 32, "patch_size": 8, "depth": 1, "num_classes": 10}, random_weights=True)
    with pytest.raises(CheckpointError) as error:
        open_original(spec, DatasetSpec("digits"), Path("unused"), 0)
    assert error.value.code == "random-weights"


def test_what_a_runtime_lacks_is_excluded_before_any_work(original: Original) -> None:
    space = space_of(TARGETS, original.model, (2, 1), packaged=False)
    plain = space.original.settings
    assert space.excluded(Candidate({**plain, "precision": "bf16"}))
    assert space.excluded(Candidate({**plain, "runtime": "openvino", "precision": "int8"}))
    assert not space.excluded(Candidate({**plain, "runtime": "openvino", "precision": "bf16", "attention": "split"}))
    assert space.excluded(Candidate({**plain, "attention": "split"}))
    assert {"sparsity", "clusters"} <= set(space.refused)
    assert {"sparsity", "clusters"} <= {knob.name for knob in space_of(TARGETS, original.model, (2, 1), packaged=True).knobs}


def test_a_knob_is_kept_where_asked_and_an_unknown_one_is_refused(original: Original) -> None:
    space = space_of(TARGETS, original.model, (1,), packaged=False, kept=("input_size",))
    assert "input_size" in space.refused
    assert "input_size" not in {knob.name for knob in space.knobs}
    with pytest.raises(SettingsError) as error:
        space_of(TARGETS, original.model, (1,), packaged=False, kept=("input_sise",))
    assert error.value.code == "unknown-knob"


def test_an_answer_is_given_once_and_a_quick_look_is_its_beginning(original: Original, tmp_path: Path) -> None:
    answers = Answers(tmp_path, original.checkpoint.preprocessing)
    selection = original.parts.selection
    quick = answers.hits(original.model, original.program, selection, 100)
    whole = answers.hits(original.model, original.program, selection)
    assert len(quick) == 100
    np.testing.assert_array_equal(quick, whole[:100])
    images = next(iter(selection.batches(len(selection))))
    expected = original.model(images.images).argmax(1).numpy() == selection.labels
    np.testing.assert_array_equal(whole, expected)


def test_images_of_another_size_are_the_checkpoints_own_resizing(original: Original) -> None:
    batch = next(iter(resized(original.parts.selection, original.checkpoint.preprocessing, (3, 16, 16)).batches(2)))
    assert tuple(batch.images.shape) == (2, 3, 16, 16)


def test_a_variant_is_cut_and_the_original_stays(original: Original, tmp_path: Path) -> None:
    variants = Variants(original, tmp_path, None)
    plain = variants.make(Candidate({"runtime": "litert", "input_size": original.model.size[1], "dropped_blocks": 0}))
    cut = variants.make(Candidate({"runtime": "litert", "dropped_blocks": 1, "mlp_kept": "50 %"}))
    split = variants.make(Candidate({"runtime": "openvino", "attention": "split"}))
    assert plain.model is original.model
    assert len(cut.model.view.blocks) == len(original.model.view.blocks) - 1
    assert len({plain.identity, cut.identity, split.identity}) == 3
    images = next(iter(original.parts.selection.batches(4))).images
    np.testing.assert_allclose(split.model(images).numpy(), original.model(images).numpy(), atol=1e-5)


def test_goals_without_accuracy_get_one() -> None:
    assert [goal.metric.name for goal in completed_goals(())] == ["top1_drop"]


def test_threads_that_are_tried() -> None:
    device = DeviceDescription("local", "", "", "", 4, 0, (), {})
    assert threads_of(0, device) == (4, 1)
    assert threads_of(3, device) == (3,)
