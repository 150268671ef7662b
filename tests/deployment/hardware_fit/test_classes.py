"""Kinds of operators by name, as the libraries write them, and shares of time by hand."""

import pytest

from efficient360.deployment.hardware_fit.operator_times import OperatorClass, class_of, product_share, seconds_by_class

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
