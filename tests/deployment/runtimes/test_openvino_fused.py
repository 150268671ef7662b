"""What OpenVINO fuses under one name, told apart by what it was fused of."""

from dataclasses import dataclass

from efficient360.deployment.runtimes.kit.sessions.openvino import _fused


@dataclass
class Value:
    text: str

    def astype(self, _kind: type) -> str:
        return self.text


@dataclass
class Node:
    name: str
    told: dict[str, Value]

    def get_friendly_name(self) -> str:
        return self.name

    def get_rt_info(self) -> dict[str, Value]:
        return self.told


@dataclass
class Compiled:
    nodes: list[Node]

    def get_runtime_model(self) -> "Compiled":
        return self

    def get_ops(self) -> list[Node]:
        return self.nodes


def node(name: str, kind: str, parts: str) -> Node:
    return Node(name, {"layerType": Value(kind), "originalLayersNames": Value(parts)})


def test_a_subgraph_says_what_it_holds() -> None:
    nodes = [
        node("heads", "Subgraph", "Multiply_1,Softmax_2,matmul/aten.matmul.default/MatMul,permute/Transpose,"),
        node("sum", "Subgraph", "add/aten.add.Tensor/Add"),
        node("layer", "Subgraph", "linear/aten.linear.default/MatMul,gelu/Gelu"),
        node("alone", "FullyConnected", "linear_1/aten.linear.default/MatMul"),
        Node("parameter", {}),
    ]
    assert _fused(Compiled(nodes)) == {"heads": "Subgraph with attention", "layer": "Subgraph with MatMul"}
