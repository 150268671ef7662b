"""Every layout gives the same pixels and the same outputs of the checkpoint as the images that it was written from, or the error that is right."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from layout_zoo import CASES, CIFAR, Case, Picture, put
from PIL import Image

from efficient360.datasets.class_matching import match_examples
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing

TEN = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", Preprocessing((3, 32, 32), (0.5,) * 3, (0.5,) * 3), 10, CIFAR)
IMAGENET = dataclasses.replace(TEN, num_classes=1000, class_names=())


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def pictures(case: Case) -> list[Picture]:
    """Twelve images of one shade each, which tells them apart: of all ten classes, or of some of ImageNet's in no order."""
    labels = [7, 0, 999, 207, 3, 500, 1, 7, 281, 42, 640, 999] if case.imagenet else [3, 0, 9, 1, 8, 2, 7, 4, 6, 5, 3, 0]
    side = 28 if case.grey else 32
    found = []
    for i, label in enumerate(labels):
        stream = io.BytesIO()
        Image.new("RGB", (side, side), (20 * i + 5,) * 3).save(stream, "PNG")
        found.append(Picture(stream.getvalue(), label))
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_layout_gives_its_images_and_their_outputs(case: Case, tmp_path: Path) -> None:
    written = pictures(case)
    spec = case.build(tmp_path, written)
    checkpoint = IMAGENET if case.imagenet else TEN
    if case.code:
        with pytest.raises(DatasetError) as caught:
            open_dataset(spec, checkpoint, 0)
        assert caught.value.code == case.code
        assert caught.value.hint
        return
    dataset = open_dataset(spec, checkpoint, 0)
    examples, match = match_examples(dataset.examples, checkpoint, dataset.card)
    order = match.outputs or range(checkpoint.num_classes)
    answers = {
        round(float(image.mean()) * 255): order[int(label)] for batch in examples.batches(5) for image, label in zip(batch.images, batch.labels, strict=True)
    }
    assert answers == {20 * i + 5: picture.label for i, picture in enumerate(written)}
    assert len(examples) == len(written)
    assert len(set(examples.ids)) == len(written)
    assert set(case.findings) <= {finding.code for finding in (*dataset.findings, *match.findings)}


def test_the_same_files_have_the_same_ids_and_digest_in_every_layout_that_names_them(tmp_path: Path) -> None:
    by_name = {case.name: case for case in CASES}
    tiny = by_name["Tiny ImageNet's val/images and annotations"]
    first = open_dataset(tiny.build(tmp_path, pictures(tiny)), IMAGENET, 0).examples
    rows = "".join(f"{name},{first.class_names[label]}\n" for name, label in zip(first.ids, first.labels, strict=True))
    (tmp_path / "list.csv").write_text("path,label\n" + rows)
    again = open_dataset(dataclasses.replace(tiny.build(tmp_path, pictures(tiny)), reference=f"manifest:{tmp_path}/list.csv"), IMAGENET, 0).examples
    assert list(first.ids) == list(again.ids)
    assert first.digest == again.digest
    assert np.array_equal(first.labels, again.labels)


def test_groups_come_from_the_list_by_name_or_as_told(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "JSON lines with a split and a group column")
    dataset = open_dataset(case.build(tmp_path, pictures(case)), TEN, 0)
    assert dataset.examples.groups == {"group": ["a"] * 12}
    assert "groups in 'group'" in next(finding for finding in dataset.findings if finding.code == "columns-found").message
    assert dataset.training is not None
    assert len(dataset.training()) == 1
    rows = "".join(
        f"images/{name},{label},{label[0]}\n" for name, label in zip(sorted(p.name for p in (tmp_path / "images").iterdir()), "abcdefghijkl", strict=True)
    )
    put(tmp_path / "list.csv", "id,label,camera\n" + rows)
    spec = DatasetSpec(f"manifest:{tmp_path}/list.csv", image_column="id", group_columns=("camera",))
    assert open_dataset(spec, dataclasses.replace(TEN, num_classes=12, class_names=()), 0).examples.groups["camera"][:2] == ["a", "b"]


def test_a_list_is_found_by_a_path_with_dots_and_its_images_may_be_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(case for case in CASES if case.name == "CSV of paths and labels")
    case.build(tmp_path, pictures(case))
    (tmp_path / "images").rename(tmp_path / "store")
    (tmp_path / "images").symlink_to("store")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    examples = open_dataset(DatasetSpec("manifest:../list.csv"), TEN, 0).examples
    assert len(next(examples.batches(12)).images) == 12
    assert examples.ids[0].startswith("images/")


def test_a_folder_around_the_class_folders_is_no_class_unless_the_checkpoint_knows_it(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "class folders")
    case.build(tmp_path / "photos", pictures(case))
    with pytest.raises(DatasetError) as caught:
        open_dataset(DatasetSpec(f"imagefolder:{tmp_path}"), TEN, 0)
    assert caught.value.code == "one-class"
    assert f"imagefolder:{tmp_path}/photos" in caught.value.hint
    (tmp_path / "photos").rename(tmp_path / "cat")
    dataset = open_dataset(DatasetSpec(f"imagefolder:{tmp_path}"), TEN, 0)
    assert set(dataset.examples.labels.tolist()) == {0}
    assert "one-class" in {finding.code for finding in dataset.findings}
