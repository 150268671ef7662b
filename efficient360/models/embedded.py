"""The small checkpoints that come with the package: a weights file and its card each."""

from pathlib import Path

_ZOO = Path(__file__).parent / "zoo"


def zoo_names() -> tuple[str, ...]:
    """Names of the embedded checkpoints, sorted. Reads no weights and imports no torch."""
    return tuple(sorted(card.stem for card in _ZOO.glob("*.json") if card.with_suffix(".safetensors").is_file()))


def zoo_file(name: str) -> Path:
    """Weights file of an embedded checkpoint; its card lies beside it as ``NAME.json``."""
    return _ZOO / f"{name}.safetensors"
