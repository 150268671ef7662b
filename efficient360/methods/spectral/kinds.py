"""What a weight does in a vision transformer, told by its name."""

from enum import StrEnum
from typing import Final, final


@final
class Kind(StrEnum):
    """What a weight does."""

    QUERY = "q"
    KEY = "k"
    VALUE = "v"
    PROJECTION = "proj"
    MLP = "mlp"
    EMBEDDING = "embedding"
    CONVOLUTION = "convolution"
    FILTER = "Fourier filter"
    CLASSIFIER = "classifier"
    OTHER = "other"


NAMES: Final = {
    Kind.QUERY: ("q", "query", "q_proj", "to_q", "wq"),
    Kind.KEY: ("k", "key", "k_proj", "to_k", "wk"),
    Kind.VALUE: ("v", "value", "v_proj", "to_v", "wv"),
    Kind.PROJECTION: ("proj", "out_proj", "attn_out_proj", "o_proj", "to_out", "proj_out"),
    Kind.MLP: (
        "mlp",
        "ffn",
        "fc1",
        "fc2",
        "fc1_g",
        "fc1_x",
        "mlp_out_proj",
        "intermediate",
        "w1",
        "w2",
        "w3",
        "w12",
        "up_proj",
        "down_proj",
        "gate_proj",
        "mlp_tokens",
        "mlp_channels",
    ),
    Kind.EMBEDDING: ("patch_embed", "patch_embeddings", "stem", "conv_stem"),
    Kind.CLASSIFIER: ("head", "head_dist", "classifier", "fc"),
}
"""Parts of dotted names that tell, as timm, Hugging Face's transformers and their forerunners call them."""

_KINDS: Final = {name: kind for kind, names in NAMES.items() for name in names}


def kind_of(name: str) -> Kind:
    """The kind of a dotted module name: its last part that tells; the first part tells of stems and heads.

    ``blocks.3.attn.proj`` → proj; ``patch_embed.proj`` → embedding; ``stages.0.attn.q.ln.linear`` → q.
    """
    parts = name.split(".")
    if any(_KINDS.get(part) is Kind.EMBEDDING for part in parts):
        return Kind.EMBEDDING
    for place in range(len(parts) - 1, -1, -1):
        if parts[place] == "output":  # transformers: attention.output.dense, and output.dense of the MLP
            return Kind.PROJECTION if "attention" in parts[:place] else Kind.MLP
        kind = _KINDS.get(parts[place])
        if kind is not None and (kind is not Kind.CLASSIFIER or place == 0):
            return kind
    return Kind.OTHER
