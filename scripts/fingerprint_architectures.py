"""Write the table of architectures by names and shapes (efficient360/models/fingerprints.json); takes minutes. Run it after an update of timm or torchvision.

    python scripts/fingerprint_architectures.py [PART/PARTS OUT]

With a part it writes that share of the names to OUT; without, it writes all of them, or joins the files OUT.1, OUT.2 … given with --join.
"""

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import timm
import torch
import torchvision
from timm.models import get_pretrained_cfg, list_models
from torch import nn

from efficient360.models.fingerprints import TABLE, Known, fingerprint, rows_of


def main(arguments: list[str]) -> None:
    """Write the table, or a part of it."""
    if arguments[:1] == ["--join"]:
        rows = {}
        for part in arguments[1:]:
            rows |= json.loads(Path(part).read_text(encoding="utf-8"))
        write(rows)
    elif arguments:
        part, parts = map(int, arguments[0].split("/"))
        Path(arguments[1]).write_text(json.dumps(rows_of(fingerprinted(part, parts))), encoding="utf-8")
    else:
        write(rows_of(fingerprinted(1, 1)))


def write(rows: dict[str, str]) -> None:
    """The table, a row a line."""
    made_with = {"timm": timm.__version__, "torchvision": torchvision.__version__.partition("+")[0]}
    table = {"made_with": made_with, "architectures": dict(sorted(rows.items()))}
    TABLE.write_text(json.dumps(table, indent=0) + "\n", encoding="utf-8")


def fingerprinted(part: int, parts: int) -> Iterator[Known]:
    """A share of all architectures; those that can't be built without data are left out, with a word."""
    names = [("", name) for name in list_models()] + [("torchvision:", name) for name in torchvision.models.list_models(module=torchvision.models)]
    for prefix, name in names[part - 1 :: parts]:
        try:
            network, classifier = torchvision_network(name) if prefix else timm_network(name)
        except Exception as error:  # whatever a library's builder raises
            print(f"{prefix}{name}: {type(error).__name__}", file=sys.stderr)
            continue
        shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
        yield Known(prefix + name, classifier, fingerprint(shapes, classifier))


def timm_network(name: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The network without data, and its classifiers."""
    with torch.device("meta"):
        network = timm.create_model(name, pretrained=False)
    config = get_pretrained_cfg(name, allow_unregistered=True)
    named = (config.classifier if config is not None else None) or "head"
    return network, (named,) if isinstance(named, str) else tuple(named)


def torchvision_network(name: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The network without data, and its classifier: the last linear layer, or convolution, with 1,000 outputs."""
    with torch.device("meta"):
        network = torchvision.models.get_model(name)
    heads = [key for key, module in network.named_modules() if getattr(module, "out_features", getattr(module, "out_channels", 0)) == 1000]
    return network, (heads[-1],)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
