"""Which block of a network a tensor or module belongs to."""

from collections.abc import Iterable


def block_of(name: str) -> str:
    """The block of a dotted name: its first part, with the number of the stage or layer where it has one.

    ``blocks.3.attn.qkv.weight`` → ``blocks.3``; ``patch_embed.proj.weight`` → ``patch_embed``; ``cls_token`` → ``cls_token``.
    """
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 1 and parts[1].isdigit() else parts[0]


def by_block(values: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The sum of the values of each block, in the order in which the blocks first appear.

    Args:
        values: Dotted names with their values; no name may contain another's value.
    """
    sums: dict[str, int] = {}
    for name, value in values:
        sums[block_of(name)] = sums.get(block_of(name), 0) + value
    return sums
