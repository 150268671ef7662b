"""ExecuTorch with the XNNPACK backend."""

from typing import ClassVar, final

import torch

from efficient360.runtimes.program import images_for, load_program
from efficient360.runtimes.runtime import Build, Converted, Delegation, Precision, Runtime
from efficient360.runtimes.unfused import unfused

MODEL = "model.pte"


@final
class ExecuTorch(Runtime):
    """Lowered to XNNPACK from the program with plain attention: of a fused one only pieces would be delegated."""

    name: ClassVar[str] = "executorch"
    title: ClassVar[str] = "ExecuTorch"
    extra: ClassVar[str] = "executorch"
    converts_with: ClassVar[tuple[str, ...]] = ("executorch", "torchao")
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32,)

    def convert(self, build: Build) -> Converted:
        """Write ``model.pte``."""
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        sample = (images_for(build.size, build.batch),)
        with torch.no_grad():
            program = torch.export.export(unfused(load_program(build.program)), sample)
        edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        delegation = _delegation(edge.exported_program().graph_module)
        (build.folder / MODEL).write_bytes(edge.to_executorch().buffer)
        return Converted(settings={"model": MODEL}, facts={"backend": "XNNPACK", "attention": "plain operators"}, delegation=delegation)


def _delegation(graph_module: torch.nn.Module) -> Delegation:
    """What the partitioner took, as ExecuTorch's own report counts it."""
    from executorch.devtools.backend_debug import get_delegation_info

    info = get_delegation_info(graph_module)
    left = {kind: count.non_delegated for kind, count in info.delegation_by_operator.items() if count.non_delegated}
    total = info.num_delegated_nodes + info.num_non_delegated_nodes
    return Delegation("XNNPACK", info.num_delegated_nodes, total, info.num_delegated_subgraphs, left)


RUNTIME = ExecuTorch()
