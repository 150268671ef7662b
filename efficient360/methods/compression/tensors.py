"""What a checkpoint of a network holds."""

from torch import Tensor, nn


def stored_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and stored buffers by name, each once however often it is used."""
    kept = network.state_dict().keys()
    return {name: tensor for name, tensor in (*network.named_parameters(), *network.named_buffers()) if name in kept}


def tied(network: nn.Module) -> dict[str, str]:
    """Further names of parameters and stored buffers that are used in several places, with the name that :func:`stored_tensors` has them under."""
    first = {id(tensor): name for name, tensor in stored_tensors(network).items()}
    every = (*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False))
    return {name: first[id(tensor)] for name, tensor in every if first.get(id(tensor), name) != name}
