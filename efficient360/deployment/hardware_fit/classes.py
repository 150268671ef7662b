"""Operators of any library by what they do, told from the names that libraries give their kinds."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any


class Class(StrEnum):
    """What an operator does. The first two are what an accelerator is built for."""

    CONVOLUTION = "convolution"
    PRODUCT = "matrix product"
    """Matrix products, linear layers, attention in one kernel, Fourier transforms."""
    SOFTMAX = "softmax"
    NORMALISATION = "normalisation"
    ELEMENTWISE = "element-wise"
    MOVEMENT = "data movement"
    OTHER = "other"


PRODUCTS = frozenset({Class.CONVOLUTION, Class.PRODUCT})
WORDS = (
    (Class.CONVOLUTION, r"conv(?!ert)"),  # Convert moves data
    (Class.PRODUCT, r"matmul|gemm|fully_?connected|linear|addmm|bmm|(?<![a-z])mm(?![a-z])|attention|sdpa|einsum|inner_?product|fft"),
    (Class.SOFTMAX, r"softmax"),
    (Class.NORMALISATION, r"norm|mvn"),
    (Class.OTHER, r"pool|reduce|mean|argmax|cumsum|interpolate|resize_bilinear|upsample"),
    (
        Class.MOVEMENT,
        r"transpose|reshape|reorder|slice|squeeze|concat|(?<![a-z])cat(?![a-z])|gather|split|expand|permute|(?<![a-z])pad|roll|broadcast|copy"
        r"|clone|view|contiguous|convert|cast|tile|stack|chunk|unbind|select|stride|layout|shuffle|flatten|identity|memory",
    ),
    (
        Class.ELEMENTWISE,
        r"gelu|relu|silu|swish|sigmoid|tanh|erf|exp|sqrt|pow|clip|clamp|where|quant|add|sum|sub|mul|div|neg|eltwise|element|binary|unary"
        r"|math|activation|logistic|min|max",
    ),
)
"""The first row that has one of its words in an operator's kind decides: a kernel that fuses several is what its costliest part is."""
QUANTIZERS = re.compile(r"quantize_?linear|fake_?quant|quantize_per|requant")


def class_of(kind: str) -> Class:
    """The class of an operator's kind (``FusedMatMul``, ``aten::addmm``, ``CONV_2D``, ``fused_conv2d_add``)."""
    name = kind.lower()
    if QUANTIZERS.search(name):  # QuantizeLinear is no linear layer
        return Class.ELEMENTWISE
    return next((found for found, words in WORDS if re.search(words, name)), Class.OTHER)


def seconds_by_class(rows: Iterable[Mapping[str, Any]]) -> dict[Class, float]:
    """Seconds of one call by class, every class named, from rows ``{"kind", "seconds"}`` of a runtime's profiler."""
    found = dict.fromkeys(Class, 0.0)
    for row in rows:
        found[class_of(row["kind"])] += row["seconds"]
    return found


def product_share(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """Share of the operators' time in convolutions and matrix products, in [0, 1]; ``None`` where no time was told."""
    found = seconds_by_class(rows)
    total = sum(found.values())
    return min(1.0, sum(found[one] for one in Class if one in PRODUCTS) / total) if total > 0 else None
