"""The matrix as one HTML page without a script: nothing leaves it, and every name is escaped."""

from collections.abc import Sequence

from efficient360.benchmark import scatter
from efficient360.benchmark.board import Board
from efficient360.benchmark.sheet import Kind
from efficient360.benchmark.view import device_sheets, headlines, matrices, provenance, reasons, sheets
from efficient360.reports import page

PACKAGE = "efficient360.benchmark"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(boards: Sequence[Board]) -> str:
    """The page over boards, at least one."""
    weights = {cell.model.weights for board in boards for cell in board.cells.values()}
    return (
        page.environment(PACKAGE)
        .get_template("matrix.html.j2")
        .render(
            boards=boards,
            headlines=headlines(boards[0]),
            matrices=list(zip(boards, matrices(boards), strict=True)),
            sheets=sheets(boards),
            devices=[(board, device_sheets(board), scatter.scatters(board)) for board in boards],
            frame={
                "width": scatter.WIDTH,
                "height": scatter.HEIGHT,
                "left": scatter.LEFT,
                "right": scatter.RIGHT,
                "top": scatter.TOP,
                "bottom": scatter.BOTTOM,
            },
            reasons=reasons(boards),
            provenance=[(title, page.rows(part)) for title, part in provenance(boards)],
            random=any(said != "trained" for said in weights),
            kind=Kind,
            policy=POLICY,
        )
    )
