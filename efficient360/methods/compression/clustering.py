"""Weight clustering: each weight matrix holds few different values, and an index into a table in place of each weight."""

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Size, Tensor, nn

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError
from efficient360.methods.compression.compressor import Coder, Compressed, Parts
from efficient360.methods.compression.kmeans import centres_of, nearest
from efficient360.methods.compression.packing import packed, unpacked
from efficient360.methods.compression.weights import coded


@final
@dataclass(frozen=True)
class Clustering(Coder):
    """A table of ``clusters`` float32 values for each weight, found by k-means, and packed indices into it.

    Han, Mao & Dally 2016, Deep Compression, section 3; on vision transformers Tabani et al. 2021, Improving the Efficiency of Transformers for
    Resource-Constrained Devices, who take 64.

    Args:
        clusters: Values in a table, 2 to 256.

    Raises:
        SettingsError: A number of clusters outside these.
    """

    name: ClassVar[str] = "clustering"
    title: ClassVar[str] = "Weight clustering"
    clusters: int

    def __post_init__(self) -> None:
        if not 2 <= self.clusters <= 256:
            raise SettingsError("bad-strength", f"clustering with {self.clusters} clusters is not offered", "give 2 to 256; 64 is usual")

    @property
    def strength(self) -> Conditions:
        return {"clusters": self.clusters}

    def compress(self, network: nn.Module) -> Compressed:
        return coded(network, self, self._encode)

    @property
    def _bits(self) -> int:
        return math.ceil(math.log2(self.clusters))

    def _encode(self, weight: Tensor) -> Parts:
        values = weight.flatten().double().cpu().numpy()
        # The table is float32 where it is stored: indices are to its values as they will be read.
        table = centres_of(values, self.clusters).astype(np.float32)
        codes = nearest(values, table.astype(np.float64))
        return {"table": torch.from_numpy(table), "indices": packed(torch.from_numpy(codes), self._bits)}

    def decode(self, parts: Parts, shape: Size) -> Tensor:
        return parts["table"][unpacked(parts["indices"], self._bits, shape.numel())].reshape(shape)
