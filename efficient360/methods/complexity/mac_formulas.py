"""MACs and activations of one call of each traced operator, one formula per row, and the operators that cost nothing by convention.

The convention is that of published tables. A multiply-add of a convolution, a linear layer or a matrix product is one
MAC; normalisation, interpolation and adaptive pooling use fvcore's estimates (a few operations per element); activation
functions, softmax, other element-wise arithmetic, reductions, plain pooling and data movement cost nothing. Activations are the
output elements of convolutions, linear layers and matrix products (Radosavovic et al. 2020, "Designing Network Design
Spaces", Sec. 3; Dollár et al. 2021, "Fast and Accurate Model Scaling").

Operators in neither table are not counted, and :func:`efficient360.methods.complexity.mac_count.count_macs` lists them.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from fvcore.nn.jit_handles import batchnorm_flop_jit, elementwise_flop_counter, norm_flop_counter

Value = Any
"""A ``torch._C.Value``: one input or output of a traced operator."""
Handle = Callable[[Sequence[Value], Sequence[Value]], "Counter[str]"]


class OperatorKind(StrEnum):
    """Kind of operator, for the breakdown. The first four are products, the others fvcore's estimates."""

    CONVOLUTION = "convolution"
    LINEAR = "linear"
    ATTENTION = "attention"
    SPECTRAL = "spectral"
    NORMALISATION = "normalisation"
    RESAMPLING = "resampling"


PRODUCTS = frozenset({OperatorKind.CONVOLUTION, OperatorKind.LINEAR, OperatorKind.ATTENTION, OperatorKind.SPECTRAL})


def shape_of(value: Value) -> list[int]:
    """Shape of a traced tensor."""
    return [int(size) for size in value.type().sizes()]


def _integers(value: Value) -> list[int] | None:
    """An argument that is an integer or a list of integers; ``None`` if it was omitted."""
    if value.node().kind() == "prim::ListConstruct":
        return [int(item.toIValue()) for item in value.node().inputs()]
    constant = value.toIValue()
    return constant if constant is None or isinstance(constant, list) else [int(constant)]


def _entry(kind: OperatorKind, macs: float, activations: int = 0) -> "Counter[str]":
    return Counter({f"macs:{kind}": math.floor(macs), f"activations:{kind}": activations})


def _convolution(inputs: Sequence[Value], outputs: Sequence[Value]) -> "Counter[str]":
    # (input, weight, bias, stride, padding, dilation, transposed, …); a transposed one applies its kernel once per input position.
    image, weight, output = shape_of(inputs[0]), shape_of(inputs[1]), shape_of(outputs[0])
    transposed = len(inputs) > 6 and inputs[6].toIValue() is True
    positions = image if transposed else output
    return _entry(OperatorKind.CONVOLUTION, positions[0] * math.prod(positions[2:]) * math.prod(weight), math.prod(output))


def _deformable(inputs: Sequence[Value], outputs: Sequence[Value]) -> "Counter[str]":
    output = math.prod(shape_of(outputs[0]))
    return _entry(OperatorKind.CONVOLUTION, output * math.prod(shape_of(inputs[1])[1:]), output)


def _product(kind: OperatorKind, first: int) -> Handle:
    """A matrix product: every output element sums over the last axis of input number ``first``."""

    def handle(inputs: Sequence[Value], outputs: Sequence[Value]) -> "Counter[str]":
        output = math.prod(shape_of(outputs[0]))
        return _entry(kind, output * shape_of(inputs[first])[-1], output)

    return handle


def _summed_product(inputs: Sequence[Value], outputs: Sequence[Value]) -> "Counter[str]":
    # addbmm sums the products of the whole batch into one matrix.
    return _entry(OperatorKind.ATTENTION, math.prod(shape_of(inputs[1])) * shape_of(inputs[2])[-1], math.prod(shape_of(outputs[0])))


def _bilinear(inputs: Sequence[Value], outputs: Sequence[Value]) -> "Counter[str]":
    output = math.prod(shape_of(outputs[0]))
    return _entry(OperatorKind.LINEAR, output * math.prod(shape_of(inputs[2])[1:]), output)


def _fused_attention(inputs: Sequence[Value], outputs: Sequence[Value]) -> "Counter[str]":
    # Both products over all query heads, whether or not keys are shared among them (grouped and multi-query) or masked.
    query, key, output = shape_of(inputs[0]), shape_of(inputs[1]), shape_of(outputs[0])
    rows = math.prod(output[:-1])
    return _entry(OperatorKind.ATTENTION, rows * key[-2] * (query[-1] + output[-1]), rows * (key[-2] + output[-1]))


def contraction_macs(equation: str, shapes: Sequence[Sequence[int]], path: Sequence[int] | None = None) -> int:
    """MACs of an einsum, contracted pair by pair as torch does: from the left, or along ``path``.

    Args:
        equation: Subscripts, ``->`` and ``...`` allowed.
        shapes: Shapes of the operands.
        path: Flat pairs of positions as torch records them; ``None`` from the left.
    """
    left, _, right = equation.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    terms: list[set[str]] = []
    for term, shape in zip(left.split(","), shapes, strict=True):
        free = len(shape) - len(term.replace("...", ""))
        # Axes behind an ellipsis are aligned from the right; digits can't clash with letters.
        labels = [part for piece in term.replace("...", ".") for part in ([str(axis) for axis in range(free, 0, -1)] if piece == "." else [piece])]
        for label, size in zip(labels, shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
        terms.append(set(labels))
    spread = {label for label in sizes if label.isdigit()}
    counts = Counter(letter for letter in left if letter.isalpha())
    kept = (set(right.replace("...", "")) if "->" in equation else {letter for letter, n in counts.items() if n == 1}) | spread
    macs = 0
    pairs = list(path or [])
    while len(terms) > 1:
        first, second = sorted((pairs.pop(0), pairs.pop(0))) if pairs else (0, 1)
        right_term, left_term = terms.pop(second), terms.pop(first)
        macs += math.prod(sizes[label] for label in left_term | right_term)
        product = (left_term | right_term) & kept.union(*terms)
        # torch appends a result contracted along a path and prepends one contracted from the left.
        terms = [*terms, product] if path else [product, *terms]
    return macs


def _einsum(inputs: Sequence[Value], outputs: Sequence[Value]) -> "Counter[str]":
    shapes = [shape_of(operand) for operand in inputs[1].node().inputs()]
    path = _integers(inputs[2]) if len(inputs) > 2 else None
    return _entry(OperatorKind.ATTENTION, contraction_macs(inputs[0].toIValue(), shapes, path), math.prod(shape_of(outputs[0])))


def _fourier(flops: float, real: int) -> Handle:
    """FFTW's convention: 5 N log2 N real operations for a complex transform of N points, half of that for a real one; two make a MAC.

    Args:
        flops: The factor, 5 or 2.5.
        real: 0 counts the points of the input, 1 those of the output: of the longer side of a real transform.
    """

    def handle(inputs: Sequence[Value], outputs: Sequence[Value]) -> "Counter[str]":
        shape = shape_of(outputs[0] if real else inputs[0])
        axes = _integers(inputs[2])
        points = math.prod(shape if axes is None else [shape[axis] for axis in axes])
        return _entry(OperatorKind.SPECTRAL, flops * math.prod(shape) * math.log2(max(points, 1)) / 2)

    return handle


def _estimate(kind: OperatorKind, fvcore: Callable[[Any, Any], Any]) -> Handle:
    """One of fvcore's own estimates."""

    def handle(inputs: Sequence[Value], outputs: Sequence[Value]) -> "Counter[str]":
        return _entry(kind, fvcore(list(inputs), list(outputs)))

    return handle


_NORM = _estimate(OperatorKind.NORMALISATION, norm_flop_counter(2))
_POINTWISE = _estimate(OperatorKind.RESAMPLING, elementwise_flop_counter(0, 1))
_FOUR_TAPS = _estimate(OperatorKind.RESAMPLING, elementwise_flop_counter(0, 4))

FORMULAS: Mapping[str, Handle] = {
    "aten::_convolution": _convolution,
    "aten::_convolution_mode": _convolution,
    "torchvision::deform_conv2d": _deformable,
    "aten::linear": _product(OperatorKind.LINEAR, 0),
    "aten::addmm": _product(OperatorKind.LINEAR, 1),
    "aten::mm": _product(OperatorKind.LINEAR, 0),
    "aten::addmv": _product(OperatorKind.LINEAR, 1),
    "aten::mv": _product(OperatorKind.LINEAR, 0),
    "aten::dot": _product(OperatorKind.LINEAR, 0),
    "aten::bilinear": _bilinear,
    "aten::matmul": _product(OperatorKind.ATTENTION, 0),
    "aten::bmm": _product(OperatorKind.ATTENTION, 0),
    "aten::baddbmm": _product(OperatorKind.ATTENTION, 1),
    "aten::addbmm": _summed_product,
    "aten::einsum": _einsum,
    "aten::scaled_dot_product_attention": _fused_attention,
    "aten::fft_fft": _fourier(5, 0),
    "aten::fft_ifft": _fourier(5, 0),
    "aten::fft_fft2": _fourier(5, 0),
    "aten::fft_ifft2": _fourier(5, 0),
    "aten::fft_fftn": _fourier(5, 0),
    "aten::fft_ifftn": _fourier(5, 0),
    "aten::fft_rfft": _fourier(2.5, 0),
    "aten::fft_rfft2": _fourier(2.5, 0),
    "aten::fft_rfftn": _fourier(2.5, 0),
    "aten::fft_irfft": _fourier(2.5, 1),
    "aten::fft_irfft2": _fourier(2.5, 1),
    "aten::fft_irfftn": _fourier(2.5, 1),
    "aten::batch_norm": _estimate(OperatorKind.NORMALISATION, batchnorm_flop_jit),
    "aten::group_norm": _NORM,
    "aten::layer_norm": _NORM,
    "aten::rms_norm": _NORM,
    "aten::instance_norm": _estimate(OperatorKind.NORMALISATION, norm_flop_counter(1)),
    "aten::upsample_nearest2d": _POINTWISE,
    "aten::upsample_bilinear2d": _FOUR_TAPS,
    "aten::adaptive_avg_pool2d": _estimate(OperatorKind.RESAMPLING, elementwise_flop_counter(1, 0)),
    "aten::grid_sampler": _FOUR_TAPS,
}
"""Cost of one call by traced operator. A new operator is one row."""

_ACTIVATION_FUNCTIONS = (
    "celu elu gelu glu hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_ leaky_relu leaky_relu_ log_softmax mish mish_ "
    "log_sigmoid threshold prelu relu relu_ relu6 relu6_ selu sigmoid sigmoid_ silu silu_ softmax softplus softsign tanh tanh_"
)
_ARITHMETIC = (
    "abs acos asin atan atan2 add add_ addcmul addcmul_ addcdiv ceil ceil_ cosh exp2 expm1 log10 log2 nan_to_num sinh "
    "clamp clamp_ clamp_max clamp_min cos div div_ erf exp exp_ floor floor_ floor_divide fmod lerp log "
    "log1p log2 maximum minimum mul mul_ neg pow pow_ reciprocal remainder round round_ rsqrt rsub sign sin sqrt square sub sub_ tan "
    "trunc true_divide complex real imag view_as_complex view_as_real outer cosine_similarity"
)
_REDUCTIONS = (
    "all amax amin any argmax argmin argsort cumprod cumsum kthvalue "
    "frobenius_norm linalg_norm linalg_vector_norm logsumexp max mean median min norm prod "
    "sort std std_mean sum topk unique var var_mean"
)
_POOLING = (
    "adaptive_avg_pool1d adaptive_max_pool1d adaptive_max_pool2d avg_pool1d avg_pool2d max_pool1d max_pool2d max_pool2d_with_indices "
    "upsample_bicubic2d _upsample_bicubic2d_aa _upsample_bilinear2d_aa upsample_nearest1d upsample_linear1d _upsample_nearest_exact2d"
)
_LOGIC = "__and__ __or__ __xor__ bitwise_and bitwise_not bitwise_or eq ge gt isfinite isinf isnan le logical_and logical_not logical_or lt ne where is_nonzero"
_MOVING = (
    "diagonal masked_select "
    "Bool Float Int Implicit IntImplicit FloatImplicit ScalarImplicit alias alpha_dropout arange as_strided bernoulli broadcast_tensors cat "
    "channel_shuffle chunk clone col2im constant_pad_nd contiguous copy_ detach dropout dropout_ dstack embedding empty empty_like expand "
    "expand_as eye feature_dropout fill fill_ flatten flip full full_like fold gather hstack im2col index index_add index_copy index_fill "
    "index_put index_put_ index_select item lift_fresh linspace masked_fill masked_fill_ masked_scatter meshgrid movedim moveaxis narrow "
    "mH mT new_empty new_full new_ones new_zeros nonzero nonzero_numpy numpy_T ones ones_like one_hot pad permute pixel_shuffle pixel_unshuffle rand "
    "rand_like randn randn_like reflection_pad2d repeat repeat_interleave replication_pad2d requires_grad_ reshape reshape_as resolve_conj roll "
    "rot90 scalar_tensor scatter scatter_ scatter_add scatter_add_ scatter_reduce select size slice split split_with_sizes squeeze stack "
    "sym_size swapaxes t take take_along_dim tensor tensor_split tile to transpose tril tril_ triu triu_ type_as unbind unflatten unfold "
    "unsqueeze unsqueeze_ view view_as vstack zero_ zeros zeros_like fft_fftshift fft_ifftshift fft_fftfreq"
)
FREE: frozenset[str] = frozenset(
    f"aten::{name}" for names in (_ACTIVATION_FUNCTIONS, _ARITHMETIC, _REDUCTIONS, _POOLING, _LOGIC, _MOVING) for name in names.split()
)
"""Operators that cost nothing by convention: published tables do not count them."""
