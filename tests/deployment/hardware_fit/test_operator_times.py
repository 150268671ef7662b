"""Kinds of operators by name, as the libraries write them, and shares of time by hand."""

import pytest

from efficient360.deployment.hardware_fit.operator_times import OperatorClass, best_kernel_bound, class_of, product_share, seconds_by_class

KINDS = {
    OperatorClass.CONVOLUTION: [
        "Conv",
        "FusedConv",
        "Convolution",
        "GroupConvolution",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "aten::mkldnn_convolution",
        "fused_conv2d_add",
    ],
    OperatorClass.PRODUCT: [
        "MatMul",
        "FusedMatMul",
        "Gemm",
        "FullyConnected",
        "FULLY_CONNECTED",
        "BATCH_MATMUL",
        "aten::addmm",
        "aten::mm",
        "aten_mm_default",
        "aten_linear_default",
        "aten::_scaled_dot_product_flash_attention_for_cpu",
        "MultiHeadAttention",
        "Subgraph with attention",
        "Subgraph with MatMul",
        "fused_matmul_add",
        "MatMulNBits",
        "QLinearMatMul",
        "InnerProduct",
    ],
    OperatorClass.SOFTMAX: ["Softmax", "SOFTMAX", "aten::_softmax", "aten__softmax_default"],
    OperatorClass.NORMALISATION: ["LayerNormalization", "SkipLayerNormalization", "MVN", "aten::native_layer_norm", "aten_native_layer_norm_default"],
    OperatorClass.ELEMENTWISE: [
        "Add",
        "Mul",
        "Gelu",
        "QuickGelu",
        "Subgraph",
        "Eltwise",
        "aten::add_",
        "Erf",
        "HardSwish",
        "BinaryOp",
        "QuantizeLinear",
        "DequantizeLinear",
        "FakeQuantize",
        "aten::gelu",
        "LOGISTIC",
    ],
    OperatorClass.MOVEMENT: [
        "Transpose",
        "Reshape",
        "Reorder",
        "ReorderOutput",
        "Convert",
        "Split",
        "Squeeze",
        "Gather",
        "Concat",
        "aten::copy_",
        "aten::cat",
        "aten_permute_copy_default",
        "aten_expand_copy_default",
        "aten_squeeze_copy_dims",
        "PAD",
        "Cast",
        "STRIDED_SLICE",
    ],
    OperatorClass.OTHER: ["MaxPool", "ReduceMean", "MEAN", "ArgMax", "aten::empty", "AVERAGE_POOL_2D"],
}


@pytest.mark.parametrize(("kind", "expected"), [(kind, one) for one, kinds in KINDS.items() for kind in kinds])
def test_kinds(kind: str, expected: OperatorClass) -> None:
    assert class_of(kind) is expected


ROWS = [
    {"kind": "Conv", "seconds": 2.0},
    {"kind": "MatMul", "seconds": 3.0},
    {"kind": "Gemm", "seconds": 1.0},
    {"kind": "Softmax", "seconds": 1.5},
    {"kind": "Transpose", "seconds": 0.5},
]


def test_seconds_by_class_by_hand() -> None:
    expected = {OperatorClass.CONVOLUTION: 2.0, OperatorClass.PRODUCT: 4.0, OperatorClass.SOFTMAX: 1.5, OperatorClass.MOVEMENT: 0.5}
    assert seconds_by_class(ROWS) == {one: expected.get(one, 0.0) for one in OperatorClass}


def test_the_share_in_products_by_hand() -> None:
    assert product_share(ROWS) == 6 / 8
    assert product_share([]) is None
    assert product_share([{"kind": "Conv", "seconds": 0.0}]) is None


A = {OperatorClass.CONVOLUTION: 1.0, OperatorClass.PRODUCT: 6.0, OperatorClass.SOFTMAX: 3.0}
B = {OperatorClass.CONVOLUTION: 2.0, OperatorClass.PRODUCT: 4.0, OperatorClass.SOFTMAX: 6.0}


def test_the_least_of_each_class_by_hand() -> None:
    found = best_kernel_bound({"a": A, "b": B})
    assert found is not None
    assert found.best == {OperatorClass.CONVOLUTION: ("a", 1.0), OperatorClass.PRODUCT: ("b", 4.0), OperatorClass.SOFTMAX: ("a", 3.0)}
    assert found.seconds == 8.0
    assert (found.single, found.single_seconds) == ("a", 10.0)
    assert found.speedup == pytest.approx(1.25)


def test_work_fused_into_another_class_counts_nothing_there() -> None:
    fused = {OperatorClass.PRODUCT: 9.0}
    found = best_kernel_bound({"a": A, "fused": fused})
    assert found is not None
    assert found.best == {OperatorClass.CONVOLUTION: ("fused", 0.0), OperatorClass.PRODUCT: ("a", 6.0), OperatorClass.SOFTMAX: ("fused", 0.0)}
    assert found.seconds == 6.0
    assert (found.single, found.single_seconds) == ("fused", 9.0)


def test_a_runtime_that_is_best_throughout_bounds_itself() -> None:
    worse = {one: 2 * seconds for one, seconds in A.items()}
    found = best_kernel_bound({"a": A, "worse": worse})
    assert found is not None
    assert found.speedup == 1


@pytest.mark.parametrize(
    "times", [{}, {"a": A}, {"a": A, "silent": {OperatorClass.PRODUCT: 0.0}}, {"a": {OperatorClass.CONVOLUTION: 1.0}, "b": {OperatorClass.PRODUCT: 1.0}}]
)
def test_there_is_none(times: dict) -> None:
    assert best_kernel_bound(times) is None
