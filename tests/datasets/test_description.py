"""A data set described without a model."""

import ast
import dataclasses
from pathlib import Path

import pytest
from layout_zoo import CASES, HUB_README, Picture, cifar, folders, hugging_face, put, table

from efficient360.cli.parser import run_command
from efficient360.datasets import description
from efficient360.datasets.description import describe
from efficient360.datasets.digits import digits
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError

PICTURES = [Picture(digits("test")[i]["image"]["bytes"], i % 10) for i in range(20)]


@pytest.mark.parametrize("case", [case for case in CASES if not case.imagenet and not case.grey], ids=lambda case: case.name)
def test_every_layout_is_described_or_refused_as_it_is_opened(case, tmp_path: Path) -> None:
    spec = case.build(tmp_path, PICTURES)
    if case.code:
        with pytest.raises(DatasetError) as caught:
            describe(spec)
        assert caught.value.code == case.code
        return
    found = describe(spec)
    assert found.splits[found.split] == len(PICTURES)
    assert found.classes == 10
    assert found.per_class == (2, 2)
    assert found.sizes == {(32, 32): 20}
    assert found.broken == 0
    assert found.command.startswith("efficient360 evaluate CHECKPOINT --dataset ")


def test_it_says_what_a_reader_wants(tmp_path: Path) -> None:
    folders(tmp_path / "test", PICTURES, cifar)
    folders(tmp_path / "train", PICTURES[:5], cifar)
    put(tmp_path / "test" / "cat" / "broken.png", b"no image")
    text = "\n".join(describe(DatasetSpec(str(tmp_path))).lines())
    for part in (
        "test (21)",
        "train (5)",
        "test is evaluated",
        "10, 2 to 3 images each",
        "airplane, automobile",
        "names of folders",
        "32 x 32",
        "1 of the images looked at",
    ):
        assert part in text
    assert text.endswith(f"efficient360 evaluate CHECKPOINT --dataset imagefolder:{tmp_path}")


def test_columns_beyond_images_and_labels_are_named_for_groups(tmp_path: Path) -> None:
    found = describe(table(tmp_path, [p.data for p in PICTURES], [p.label for p in PICTURES], camera=["a", "b"] * 10))
    assert list(found.further) == ["camera"]
    assert "numbers from 0 to 9 without names" in found.labels


def test_a_repository_on_the_hub_is_described_without_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    from efficient360.datasets import hub

    (tmp_path / "org" / "pets" / "data").mkdir(parents=True)
    hugging_face(PICTURES).to_parquet(tmp_path / "org" / "pets" / "data" / "test-00000-of-00001.parquet")
    put(tmp_path / "org" / "pets" / "README.md", HUB_README)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "require_answer", lambda *_: None)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    found = describe(DatasetSpec("hub:org/pets"))
    assert found.splits == {"test": 20}
    assert "classes         10: airplane, automobile" in "\n".join(found.lines())
    assert found.command == "efficient360 evaluate CHECKPOINT --dataset hub:org/pets"


def test_the_command_prints_it_and_refuses_with_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders(tmp_path, PICTURES, cifar)
    assert run_command(["inspect", str(tmp_path)]) == 0
    assert f"--dataset imagefolder:{tmp_path}" in capsys.readouterr().out
    assert run_command(["inspect", "cifa10"]) == 2
    assert "did you mean cifar10" in capsys.readouterr().err


def test_nothing_on_the_way_imports_torch() -> None:
    package = Path(description.__file__).parents[1]
    todo, seen = ["efficient360.datasets.description", "efficient360.cli.inspect_command"], set()
    while todo:
        name = todo.pop()
        path = package.joinpath(*name.split(".")[1:]).with_suffix(".py")
        if name in seen or not path.is_file():
            continue
        seen.add(name)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {part.partition(".")[0] for part in names} & {"torch", "timm", "torchvision", "transformers"}, f"{name} imports {names}"
            todo += [part for part in names if part.startswith("efficient360")]
    assert "efficient360.datasets.layouts.webdataset" in seen


def test_options_are_part_of_the_command(tmp_path: Path) -> None:
    spec = dataclasses.replace(table(tmp_path, [p.data for p in PICTURES], [p.label for p in PICTURES], "a", "b"), image_column="a", label_column="b")
    assert describe(spec).command.endswith("--image-column a --label-column b")
