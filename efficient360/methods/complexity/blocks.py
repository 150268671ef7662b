"""The block of a network that a parameter or module belongs to, and sums by block."""

from collections.abc import Iterable


def block_of(name: str) -> str:
    """The block of a dotted name: its first component, with the number of the stage or layer if there is one.

    ``blocks.3.attn.qkv.weight`` → ``blocks.3``; ``patch_embed.proj.weight`` → ``patch_embed``; ``cls_token`` → ``cls_token``.
    """
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 1 and parts[1].isdigit() else parts[0]


def by_block(values: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The sum of the values of each block, in order of first appearance.

    Args:
        values: Dotted names with their values; no value may be part of another's.
    """
    sums: dict[str, int] = {}
    for name, value in values:
        sums[block_of(name)] = sums.get(block_of(name), 0) + value
    return sums
