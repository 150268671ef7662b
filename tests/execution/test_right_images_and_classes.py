"""However a hundred digits lie on a disk, the accuracy is theirs: checked against the same digits opened by name."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError
from efficient360.execution import runner
from efficient360.execution.events import Event, Finished, Found
from efficient360.execution.plan import Plan, Step
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
WORD_TO_DIGIT = {word: str(i) for i, word in enumerate(WORDS)}
DIGITS = CheckpointSpec("digits-vit")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred test digits as class folders 0 … 9."""
    folder = tmp_path_factory.mktemp("plain")
    examples = open_dataset(DatasetSpec("digits", max_examples=100), resolve(DIGITS), 0).examples
    for i, label in enumerate(examples.labels.tolist()):
        (folder / str(label)).mkdir(exist_ok=True)
        (folder / str(label) / f"{i:03d}.ppm").write_bytes(examples.encoded(i, i + 1)[0])
    return folder


def measured(out: Path, spec: DatasetSpec) -> tuple[float, list[str]]:
    """Top-1 accuracy, and the codes of the findings."""
    events: list[Event] = []
    runner.run(Plan(DIGITS, spec, "test", (Step("accuracy", {}),), out / "run"), events.append)
    (done,) = [event for event in events if isinstance(event, Finished)]
    (found,) = [event for event in events if isinstance(event, Found)]
    (top1,) = [r.outcome for r in done.records if r.metric is not None and r.metric.name == "top1"]
    return top1.value, [finding.code for finding in found.findings]


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> float:
    value, codes = measured(tmp_path_factory.mktemp("right"), DatasetSpec("digits", max_examples=100))
    assert codes == []
    assert 0.8 < value <= 1
    return value


def named_like_splits(folder: Path) -> None:
    for i, file in enumerate(sorted(folder.rglob("*.ppm"))):
        file.rename(file.with_name(f"{('train', 'test', 'ILSVRC2012_val')[i % 3]}_{file.name}"))


def without_endings(folder: Path) -> None:
    for file in folder.rglob("*.ppm"):
        file.rename(file.with_suffix(""))


def linked(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()
    for child in folder.with_name("elsewhere").iterdir():
        (folder / child.name).symlink_to(child)


def validation_beside_training(folder: Path) -> None:
    folder.rename(folder.with_name("valid"))
    shutil.copytree(folder.with_name("valid"), folder / "Training")
    (folder / "Training" / "3").rename(folder / "Training" / "x")
    (folder / "Training" / "4").rename(folder / "Training" / "3")
    (folder / "Training" / "x").rename(folder / "Training" / "4")
    folder.with_name("valid").rename(folder / "valid")


def with_metadata(folder: Path) -> None:
    (folder / "metadata.csv").write_text("file_name,label\n3/001.ppm,4\n")
    (folder / "3" / "more.zip").write_bytes(b"PK\3\4")


@pytest.mark.parametrize("arrange", [named_like_splits, without_endings, linked, validation_beside_training, with_metadata])
def test_the_files_decide_not_their_names(plain: Path, tmp_path: Path, right: float, arrange: Callable[[Path], None]) -> None:
    folder = shutil.copytree(plain, tmp_path / "data")
    arrange(folder)
    value, codes = measured(tmp_path, DatasetSpec(f"imagefolder:{folder}"))
    assert value == right
    assert codes == (["files-left-out"] if arrange is with_metadata else [])


def test_names_of_another_language_are_an_error_until_somebody_says_which_is_which(plain: Path, tmp_path: Path, right: float) -> None:
    folder = shutil.copytree(plain, tmp_path / "data")
    for word, digit in WORD_TO_DIGIT.items():
        (folder / digit).rename(folder / word)
    with pytest.raises(DatasetError) as caught:
        measured(tmp_path, DatasetSpec(f"imagefolder:{folder}"))
    assert caught.value.code == "class-names-differ"
    value, codes = measured(tmp_path, DatasetSpec(f"imagefolder:{folder}", class_map=WORD_TO_DIGIT))
    assert (value, codes) == (right, ["classes-mapped"])


def test_positions_taken_wrongly_are_called_that(plain: Path, tmp_path: Path, right: float) -> None:
    folder = shutil.copytree(plain, tmp_path / "data")
    for word, digit in WORD_TO_DIGIT.items():
        (folder / digit).rename(folder / word)  # in alphabetical order: eight, five, four …
    value, codes = measured(tmp_path, DatasetSpec(f"imagefolder:{folder}", class_order="data"))
    assert value < right / 2
    assert codes == ["other-class-order-better", "near-chance", "classes-by-position"]


def test_labels_as_text_stand_in_numeric_order(plain: Path, tmp_path: Path, right: float) -> None:
    files = sorted(plain.rglob("*.ppm"))
    table = pa.table({"image": [file.read_bytes() for file in files], "label": [file.parent.name for file in files]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert measured(tmp_path, DatasetSpec(f"parquet:{tmp_path}/a.parquet")) == (right, [])


def test_all_outputs_compete_where_classes_are_missing(plain: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(plain, tmp_path / "data")
    for name in "01245679":
        shutil.rmtree(folder / name)
    value, codes = measured(tmp_path, DatasetSpec(f"imagefolder:{folder}"))
    whole = open_dataset(DatasetSpec("digits", max_examples=100), resolve(DIGITS), 0).examples
    assert "fewer-classes" in codes
    assert value == pytest.approx(_by_hand(whole, {3, 8}))


def _by_hand(examples, classes: set[int]) -> float:
    import torch

    from efficient360.models.building import load_model

    model = load_model(resolve(DIGITS))
    with torch.inference_mode():
        rights = [
            model(b.images).argmax(1)[keep] == b.labels[keep] for b in examples.batches(64) if len(keep := torch.isin(b.labels, torch.tensor([*classes])))
        ]
    return float(torch.cat(rights).float().mean())
