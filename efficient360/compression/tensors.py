"""What a checkpoint of a network holds."""

from torch import Tensor, nn


def stored_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and stored buffers by name, each once however often it is used."""
    kept = network.state_dict().keys()
    return {name: tensor for name, tensor in (*network.named_parameters(), *network.named_buffers()) if name in kept}
