"""The block of a network that a parameter or module belongs to, and sums by block."""

from collections.abc import Iterable, Sequence


def block_of(name: str, blocks: Sequence[str] = ()) -> str:
    """The block of a dotted name: its first component, with the number of the stage or layer if there is one.

    ``blocks.3.attn.qkv.weight`` → ``blocks.3``; ``patch_embed.proj.weight`` → ``patch_embed``; ``cls_token`` → ``cls_token``. Where the blocks lie deeper,
    a name in one of them belongs to it, and any other to the outermost part that holds none: ``vit.encoder.layer.3.output.dense`` → ``vit.encoder.layer.3``,
    ``vit.embeddings.cls_token`` → ``vit.embeddings``.

    Args:
        name: Of a parameter or module.
        blocks: The network's blocks, from its view.
    """
    parts = name.split(".")
    if len(parts) > 1 and parts[1].isdigit():
        return ".".join(parts[:2])
    for block in blocks:
        if f"{name}.".startswith(f"{block}."):
            return block
    fronts = [".".join(parts[: index + 1]) for index in range(len(parts))]
    return next((front for front in fronts if not any(block.startswith(f"{front}.") for block in blocks)), name)


def by_block(values: Iterable[tuple[str, int]], blocks: Sequence[str] = ()) -> dict[str, int]:
    """The sum of the values of each block, in order of first appearance.

    Args:
        values: Dotted names with their values; no value may be part of another's.
        blocks: The network's blocks, from its view.
    """
    sums: dict[str, int] = {}
    for name, value in values:
        block = block_of(name, blocks)
        sums[block] = sums.get(block, 0) + value
    return sums
