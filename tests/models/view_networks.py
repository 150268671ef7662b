"""One small vision transformer written as people write them: with torch's own encoder, with layers in bare lists, and as timm; all compute the same."""

from typing import Any

import timm
import torch
from torch import Tensor, nn

from efficient360.models.model import PixelsToLogits, TorchModel

SIZE = (3, 16, 16)
PATCH, WIDTH, DEPTH, HEADS, CLASSES = 4, 16, 3, 2, 5


def model_of(network: nn.Module, size: tuple[int, int, int] = SIZE, classes: int = CLASSES) -> TorchModel:
    return TorchModel(PixelsToLogits(network, [0.5] * 3, [0.5] * 3, None).eval().requires_grad_(False), size, classes)


def spread(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights far enough from zero for attention to differ."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(0.3 * noise if parameter.ndim > 1 else parameter + 0.1 * noise)
    return network.eval()


def timm_vit(**changes: Any) -> nn.Module:
    arguments = {"img_size": 16, "patch_size": PATCH, "embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS, "num_classes": CLASSES} | changes
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return spread(timm.create_model("vit_tiny_patch16_224", **arguments))


class EncoderViT(nn.Module):
    """With :class:`torch.nn.TransformerEncoder`; tokens ``(N, B, D)`` unless ``batch_first``."""

    def __init__(self, batch_first: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.to_patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.cls = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos = nn.Parameter(torch.zeros(1, 17, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, dropout, "gelu", 1e-6, batch_first=batch_first, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, DEPTH, nn.LayerNorm(WIDTH, 1e-6), enable_nested_tensor=False)
        self.fc = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        x = self.to_patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
        x = self.encoder(x if self.batch_first else x.transpose(0, 1))
        logits: Tensor = self.fc(x[:, 0] if self.batch_first else x[0])
        return logits


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attend = nn.LayerNorm(WIDTH, 1e-6), nn.Softmax(-1)
        self.to_qkv, self.to_out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(0.0))
        self.heads = HEADS

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.unflatten(2, (HEADS, -1)).transpose(1, 2) for t in self.to_qkv(self.norm(x)).chunk(3, -1))
        mixed = self.attend(q @ k.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5) @ v
        out: Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return out


class Patches(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        rows = images.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)  # (B, C, rows, columns, p, p)
        return rows.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(DEPTH):
            feed_forward = nn.Sequential(nn.LayerNorm(WIDTH, 1e-6), nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
            self.layers.append(nn.ModuleList([Attention(), feed_forward]))

    def forward(self, x: Tensor) -> Tensor:
        pairs: Any = self.layers
        for attention, feed_forward in pairs:
            x = attention(x) + x
            x = feed_forward(x) + x
        return x


class ListedViT(nn.Module):
    """As in vit-pytorch: linear patch embedding, norms inside, layers in lists of lists; no bias of queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.to_patch_embedding = nn.Sequential(Patches(), nn.Linear(3 * PATCH * PATCH, WIDTH))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embedding = nn.Parameter(torch.zeros(1, 17, WIDTH))
        self.transformer = Transformer()
        self.mlp_head = nn.Sequential(nn.LayerNorm(WIDTH, 1e-6), nn.Linear(WIDTH, CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        x = self.to_patch_embedding(images)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embedding
        logits: Tensor = self.mlp_head(self.transformer(x)[:, 0])
        return logits


def as_encoder(network: Any, batch_first: bool = True) -> nn.Module:
    """timm's network written with torch's encoder."""
    made = EncoderViT(batch_first)
    made.load_state_dict(made.state_dict() | {_ENCODER.get(name, name): t for name, t in _renamed(network, _ENCODER_BLOCK, "encoder.layers")})
    return made.eval()


def as_listed(network: Any) -> nn.Module:
    """timm's network, without a bias of queries, keys and values, written in lists of layers."""
    made = ListedViT()
    state = {_LISTED.get(name, name): t for name, t in _renamed(network, _LISTED_BLOCK, "transformer.layers")}
    weight = state["to_patch_embedding.1.weight"]
    state["to_patch_embedding.1.weight"] = weight.permute(0, 2, 3, 1).flatten(1)
    made.load_state_dict(state)
    return made.eval()


def _renamed(network: nn.Module, parts: dict[str, str], blocks: str) -> list[tuple[str, Tensor]]:
    renamed = []
    for name, tensor in network.state_dict().items():
        if name.startswith("blocks."):
            _, number, rest = name.split(".", 2)
            part, _, kind = rest.rpartition(".")
            target = parts[part]
            renamed.append((f"{blocks}.{number}.{target}{'_' if target.endswith('in_proj') else '.'}{kind}", tensor))
        else:
            renamed.append((name, tensor))
    return renamed


_ENCODER = {
    "cls_token": "cls",
    "pos_embed": "pos",
    "patch_embed.proj.weight": "to_patches.weight",
    "patch_embed.proj.bias": "to_patches.bias",
    "norm.weight": "encoder.norm.weight",
    "norm.bias": "encoder.norm.bias",
    "head.weight": "fc.weight",
    "head.bias": "fc.bias",
}
_ENCODER_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.qkv": "self_attn.in_proj",
    "attn.proj": "self_attn.out_proj",
    "mlp.fc1": "linear1",
    "mlp.fc2": "linear2",
}
_LISTED = {
    "pos_embed": "pos_embedding",
    "patch_embed.proj.weight": "to_patch_embedding.1.weight",
    "patch_embed.proj.bias": "to_patch_embedding.1.bias",
    "norm.weight": "mlp_head.0.weight",
    "norm.bias": "mlp_head.0.bias",
    "head.weight": "mlp_head.1.weight",
    "head.bias": "mlp_head.1.bias",
}
_LISTED_BLOCK = {"norm1": "0.norm", "norm2": "1.0", "attn.qkv": "0.to_qkv", "attn.proj": "0.to_out.0", "mlp.fc1": "1.1", "mlp.fc2": "1.3"}
