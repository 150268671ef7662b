from pathlib import Path

import pytest

from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.errors import PluginError, SettingsError

NINE = ["torch", "torch_compile", "onnxruntime", "openvino", "litert", "executorch", "mnn", "ncnn", "tvm"]


def test_the_nine_are_listed_first() -> None:
    assert catalogue.names()[:9] == NINE
    assert catalogue.names()[9:] == ["torch_cuda", "torch_cuda_graphs", "onnxruntime_cuda"]


@pytest.mark.parametrize("name", catalogue.names())
def test_each_is_what_it_says(name: str) -> None:
    found = catalogue.runtime(name)
    assert found.name == name
    assert found.title
    assert found.precisions[0] is Precision.FP32
    assert len(set(found.precisions)) == len(found.precisions)
    assert (Path(catalogue.__file__).parent / "kit/sessions" / f"{name}.py").is_file()
    assert catalogue.how_to_get(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [("torch", ("torch", Precision.FP32)), ("torch:bf16", ("torch", Precision.BF16)), ("torch_compile:fp32", ("torch_compile", Precision.FP32))],
)
def test_targets(text: str, found: tuple[str, Precision]) -> None:
    assert catalogue.target(text) == found


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("tensorrt", "unknown-runtime", "'tensorrt'"),
        ("torch:int4", "unknown-precision", "'int4'"),
        ("torch:int8", "unknown-precision", "'int8'"),
        ("", "unknown-runtime", "''"),
    ],
)
def test_what_is_not_there_is_named(text: str, code: str, named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        catalogue.target(text)
    assert caught.value.code == code
    assert named in caught.value.message
    assert "fp32" in caught.value.hint or "torch_compile" in caught.value.hint


def test_many_targets_are_each_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "installed", lambda: ["torch", "torch_compile"])
    found = catalogue.targets(["torch:bf16", "installed", "torch", "torch:bf16"])
    assert found == [("torch", Precision.BF16), ("torch", Precision.FP32), ("torch_compile", Precision.FP32)]


def test_installed_leaves_out_what_lacks_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "missing", lambda found: ["x"] if found.name == "torch_compile" else [])
    assert "torch_compile" not in catalogue.installed()
    assert "torch" in catalogue.installed()


@pytest.mark.parametrize(
    ("text", "code"), [(None, "no-plugin-file"), ("import no_such_module", "broken-plugin"), ("RUNTIME = 3", "no-runtime"), ("def (", "broken-plugin")]
)
def test_plugins_that_are_none(text: str | None, code: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PluginError) as caught:
        catalogue.runtime(str(path))
    assert caught.value.code == code
    assert str(path) in caught.value.message
