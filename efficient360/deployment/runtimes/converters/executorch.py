"""ExecuTorch with the XNNPACK backend."""

from typing import Any, ClassVar, final

import numpy as np

from efficient360.core.close_names import did_you_mean
from efficient360.deployment.runtimes.runtime import Build, Converted, Delegation, Precision, Runtime
from efficient360.errors import Unsupported

MODEL = "model.pte"
IN_INT8 = ("linear", "conv2d")
"""What int8 quantizes; the quantizer's own choice adds sums and products, which costs accuracy in residual branches and scaled attention."""


@final
class ExecuTorch(Runtime):
    """Lowered to XNNPACK from the program with plain attention: of a fused one only pieces would be delegated."""

    name: ClassVar[str] = "executorch"
    title: ClassVar[str] = "ExecuTorch"
    extra: ClassVar[str] = "executorch"
    converts_with: ClassVar[tuple[str, ...]] = ("executorch", "torchao")
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.INT8_DYNAMIC, Precision.INT8_SMOOTH, Precision.INT8)

    def convert(self, build: Build) -> Converted:
        """Write ``model.pte``."""
        import torch
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        from efficient360.deployment.runtimes.graph_rewrites import decompose_attention
        from efficient360.deployment.runtimes.program import images_for, load_program

        facts = {"backend": "XNNPACK", "attention": "plain operators"}
        with torch.no_grad():
            program = torch.export.export(decompose_attention(load_program(build.program)), (images_for(build.size, build.batch),))
            if build.precision.quantized:
                program = _quantized(program, build)
                activations = "activations by the range of each call" if build.precision is Precision.INT8_DYNAMIC else "static activations"
                facts |= {"quantization": activations, "quantized": ", ".join(_quantized_operators(build))}
        edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        delegation = _delegation(edge.exported_program().graph_module)
        (build.folder / MODEL).write_bytes(edge.to_executorch().buffer)
        return Converted(settings={"model": MODEL}, facts=facts, delegation=delegation)


def _quantized_operators(build: Build) -> tuple[str, ...]:
    return IN_INT8[:1] if build.precision is Precision.INT8_DYNAMIC else IN_INT8  # its kernels bring the inputs of linear layers alone to integers


def _quantized(program: Any, build: Build) -> Any:
    """The program with weights in 8 bits by channel and activations in 8 bits by tensor, their ranges those of the calibration images or of each call."""
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from efficient360.deployment.runtimes.program import images_for
    from efficient360.deployment.runtimes.quantization.layers import layers_of

    dynamic = build.precision is Precision.INT8_DYNAMIC
    module = program.module()
    layers = layers_of(module)
    absent = [name for name in build.float_layers if name not in layers]
    if absent:
        raise Unsupported("no-such-layer", f"the network has no linear layer or convolution called {absent[0]!r}", did_you_mean(absent[0], list(layers)))
    left = {node.name for name in build.float_layers for node in layers[name].nodes}
    quantizer: Any = XNNPACKQuantizer()
    quantizer.set_filter_function(lambda node: node.name not in left)
    for operator in _quantized_operators(build):
        quantizer.set_operator_type(getattr(torch.ops.aten, operator).default, get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic))
    observed = prepare_pt2e(module, quantizer)
    for images in (np.full((build.batch, *build.size), 0.5, np.float32),) if dynamic else build.calibration_calls():
        observed(torch.from_numpy(images))
    return torch.export.export(convert_pt2e(observed), (images_for(build.size, build.batch),))


def _delegation(graph_module: Any) -> Delegation:
    """What the partitioner took, as ExecuTorch's own report counts it, without ``getitem``: it computes nothing."""
    from executorch.devtools.backend_debug import get_delegation_info

    info = get_delegation_info(graph_module)
    kinds = [kind for kind in info.delegation_by_operator.values() if kind.op_type != "getitem"]
    delegated = sum(kind.delegated for kind in kinds)
    left = {kind.op_type: kind.non_delegated for kind in kinds if kind.non_delegated}
    return Delegation("XNNPACK", delegated, delegated + sum(left.values()), info.num_delegated_subgraphs, left)


RUNTIME = ExecuTorch()
