"""Runtimes asked for with and without a question mark."""

import pytest

from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.errors import SettingsError


@pytest.fixture(autouse=True)
def two_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "installed", lambda: ["torch", "onnxruntime"])


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["torch", "ncnn?"], [("torch", Precision.FP32)]),
        (["ncnn"], [("ncnn", Precision.FP32)]),
        (["onnxruntime:int8?", "openvino:int8?"], [("onnxruntime", Precision.INT8)]),
        (["installed", "torch:bf16?"], [("torch", Precision.FP32), ("onnxruntime", Precision.FP32), ("torch", Precision.BF16)]),
        (["ncnn?"], []),
    ],
)
def test_a_question_mark_leaves_out_what_is_not_installed(texts: list[str], expected: list) -> None:
    assert catalogue.wanted(texts) == expected


@pytest.mark.parametrize(("text", "code"), [("tensorrt?", "unknown-runtime"), ("ncnn:int4?", "unknown-precision")])
def test_a_wrong_name_is_an_error_though_it_would_be_left_out(text: str, code: str) -> None:
    with pytest.raises(SettingsError) as error:
        catalogue.wanted([text])
    assert error.value.code == code
