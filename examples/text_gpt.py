"""A small causal language model with a cache of keys and values, and its training on a few lines of text."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from efficient360.codesign.programs.program import Loop, Program, State
from efficient360.deployment.runtimes.signature import ArraySpec, Signature


class Words:
    """Numbers of words; 0 stands for the end and for what is unknown.

    Args:
        lines: Words apart by blanks.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self.words = ["<end>", *sorted({word for line in lines for word in line.split()})]
        self._numbers = {word: number for number, word in enumerate(self.words)}

    def encode(self, line: str) -> list[int]:
        """Numbers of a line's words."""
        return [self._numbers.get(word, 0) for word in line.split()]

    def decode(self, tokens: Sequence[int]) -> str:
        """Words until the end."""
        numbers = [int(token) for token in tokens]
        return " ".join(self.words[number] for number in (numbers[: numbers.index(0)] if 0 in numbers else numbers))


class Block(nn.Module):
    """Causal attention and an MLP, normalised first.

    Args:
        width: Of tokens.
        heads: Of attention.
        slot: Where its keys and values lie in the cache, also when other blocks are left out.
    """

    def __init__(self, width: int, heads: int, slot: int) -> None:
        super().__init__()
        self.heads, self.slot = heads, slot
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = self.qkv(self.norm1(x)).chunk(3, -1)
        batch, tokens, width = query.shape
        shape = (batch, tokens, self.heads, width // self.heads)
        return query.reshape(shape).transpose(1, 2), key.reshape(shape).transpose(1, 2), value.reshape(shape).transpose(1, 2)

    def learn(self, x: Tensor) -> Tensor:
        """Tokens ``(B, T, C)`` that see those before them."""
        query, key, value = self._split(x)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, unseen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One token ``(1, 1, C)`` that sees the cached ones ``(1, H, T, D)`` where ``unseen``, float ``(T,)``, is 0, and itself."""
        query, key, value = self._split(x)
        query = query / math.sqrt(key.shape[-1])
        scores = torch.cat([query @ keys.transpose(-2, -1) - 1e9 * unseen, (query * key).sum(-1, keepdim=True)], -1)
        weights = scores.softmax(-1)
        mixed = weights[..., :-1] @ values + weights[..., -1:] * value
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x)), key, value


class Gpt(nn.Module):
    """A decoder that learns whole lines and is called token by token.

    Args:
        words: Size of the vocabulary.
        width: Of tokens.
        depth: Number of blocks.
        heads: Of attention.
        room: Tokens that it can look back on.
    """

    def __init__(self, words: int, width: int = 192, depth: int = 4, heads: int = 4, room: int = 48) -> None:
        super().__init__()
        self.table, self.places = nn.Embedding(words, width), nn.Embedding(room, width)
        self.blocks = nn.ModuleList(Block(width, heads, slot) for slot in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words)
        self.cache = (depth, heads, room, width // heads)
        for part in self.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.normal_(part.weight, std=0.02)

    def learn(self, tokens: Tensor) -> Tensor:
        """Logits ``(B, T, V)`` of tokens ``(B, T)``."""
        x = self.table(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block.learn(x)
        return self.head(self.norm(x))

    def forward(self, token: Tensor, position: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step: token ``(1, 1)``, position ``(1,)``, caches ``(L, H, T, D)``, to logits ``(1, V)`` and what is new for the caches, ``(L, H, 1, D)``."""
        x = self.table(token) + self.places(position)[:, None]
        unseen = (torch.arange(self.cache[2]) >= position).float()
        new = {}
        for block in self.blocks:
            x, key, value = block(x, keys[block.slot][None], values[block.slot][None], unseen)
            new[block.slot] = key, value
        nothing = torch.zeros_like(next(iter(new.values()))[0])
        slots = [new.get(slot, (nothing, nothing)) for slot in range(self.cache[0])]
        return self.head(self.norm(x))[:, 0], torch.cat([key for key, _ in slots]), torch.cat([value for _, value in slots])


def program(network: Gpt, steps: int) -> Program:
    """The network as a program that answers with so many tokens."""
    inputs = (ArraySpec("token", (1, 1), "int64"), ArraySpec("position", (1,), "int64"), ArraySpec("keys", network.cache), ArraySpec("values", network.cache))
    states = (State("keys", "new_keys", 2), State("values", "new_values", 2))
    signature = Signature(inputs, ("logits", "new_keys", "new_values"))
    return Program("GPT", network.eval(), signature, Loop("token", "position", "logits", states, steps))


def train(network: Gpt, lines: Sequence[Sequence[int]], steps: int, seed: int, batch: int = 32, rate: float = 1e-3) -> float:
    """Learn lines of tokens with AdamW and a cosine schedule; gives the last loss back, in nats a token."""
    generator = torch.Generator().manual_seed(seed)
    length = max(map(len, lines)) + 1
    texts = torch.tensor([[*line, *[0] * (length - len(line))] for line in lines])
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    network.train()
    loss = torch.tensor(0.0)
    for _ in range(steps):
        chosen = texts[torch.randint(len(texts), (batch,), generator=generator)]
        logits = network.learn(chosen[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), chosen[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    network.eval()
    return float(loss.detach())
