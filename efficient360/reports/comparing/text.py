"""A comparison on the terminal: the verdict per axis first, then the few metrics that decide, and everything on request; readable at 80 columns."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from efficient360.core.text import one_line
from efficient360.reports import names
from efficient360.reports.comparing import words
from efficient360.reports.comparing.decisive import Decisive, decisive
from efficient360.reports.comparing.verdicts import AxisComparison, Comparison, MetricComparison, RunPair, Verdict

UNLIKE: Final = 3
"""Differences in settings that are named."""
STYLES: Final = {Verdict.FIRST: "bold green", Verdict.SECOND: "bold magenta"}
ORDER: Final = (Verdict.FIRST, Verdict.SECOND, *words.VERDICTS)
DIFFERENCE: Final = 24
"""Columns of a difference with its interval."""
NAME: Final = 12
"""Columns of a metric's name beside its axis."""


def brief(comparison: Comparison) -> RenderableType:
    """Who is who, and the verdict in a sentence."""
    return Stack(*_names(comparison), _line(words.headline(comparison), "bold"))


def text(comparison: Comparison, everything: bool = False) -> RenderableType:
    """The comparison in about 40 lines for two runs; with ``everything``, all metrics below."""
    axes = _two(comparison) if len(comparison.names) == 2 else [_several(comparison), *_places(comparison.axes, comparison)]
    head = [*_names(comparison), _line(words.headline(comparison), "bold")]
    return Stack(*head, *axes, *_timing(comparison), *_decisive(comparison), *(_all(comparison) if everything else ()), *_foot(comparison, everything))


def _names(comparison: Comparison) -> Iterator[RenderableType]:
    for run, name in enumerate(comparison.names):
        yield Text.assemble((words.letter(run), "bold"), f"  {one_line(name)}")


def _two(comparison: Comparison) -> Iterator[RenderableType]:
    """Axes grouped by verdict, each with the summary metric that it rests on."""
    pair: RunPair = (0, 1)
    lines = {axis.name: [_cells(axis, row) for row in axis.leading(pair)] for axis in comparison.axes}
    widths = [max((len(cells[column]) for axis in lines.values() for cells in axis), default=1) for column in range(4)]
    yield _fixed([["", "", "A", "B", "B − A [95 % interval]"]], widths, "dim")
    for verdict in ORDER:
        axes = [axis for axis in comparison.axes if axis.verdicts[pair] is verdict]
        if axes:
            meaning = words.MEANING.get(verdict)
            yield Text.assemble((words.verdict(verdict, pair).capitalize(), STYLES.get(verdict, "bold")), (f": {meaning}" if meaning else "", "dim"))
            yield _fixed([cells for axis in axes for cells in lines[axis.name]], widths)
            yield from _places(axes, comparison)


def _cells(axis: AxisComparison, row: MetricComparison) -> Sequence[str]:
    values = [words.value_in(axis, row, run) for run in row.runs]
    return [f" {one_line(axis.title)}", one_line(words.short(row)), *values, words.difference(row)]


def _places(axes: Sequence[AxisComparison], comparison: Comparison) -> Iterator[RenderableType]:
    """Where the times above were measured."""
    yield from (_line(f" {axis.title}: {place}", "dim") for axis in axes if (place := words.places(axis, comparison)))


def _fixed(rows: Sequence[Sequence[str]], widths: Sequence[int], style: str = "") -> Table:
    """Rows whose columns stand under those of the other groups."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0), style=style)
    for i, width in enumerate(widths):
        wide = min(width, NAME) if i == 1 else width  # the name gives way: a number that is cut is a wrong number
        table.add_column(width=wide, justify="right" if i > 1 else "left", no_wrap=True, overflow="ellipsis")
    table.add_column(min_width=DIFFERENCE)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _several(comparison: Comparison) -> Table:
    """One line an axis: the surest summary metric's value in each run, and who is better than whom."""
    runs = range(len(comparison.names))
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("", style="dim", no_wrap=True)
    for run in runs:
        table.add_column(words.letter(run), justify="right", no_wrap=True)
    table.add_column("better, where it is decided", min_width=12)
    for axis in comparison.axes:
        row = words.surest(axis, comparison)
        if row is not None:
            table.add_row(axis.title, words.short(row), *(words.value_in(axis, row, run) for run in runs), words.order(axis, comparison))
    return table


def _timing(comparison: Comparison) -> Iterator[RenderableType]:
    """Whose timing was disturbed: a difference of time may be another program's."""
    yield from (_line(told, "yellow") for told in comparison.disturbed)


def _decisive(comparison: Comparison) -> Iterator[RenderableType]:
    found = decisive(comparison)
    if found:
        yield Text("What else tells them apart", style="bold")
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column(overflow="fold")
        for justify in ("right", "right", "left"):
            table.add_column(justify=justify, no_wrap=justify == "right", min_width=DIFFERENCE if justify == "left" else 8)
        for entry in found:
            table.add_row(_named(entry), words.value(entry.row.first, entry.row), words.value(entry.row.second, entry.row), words.difference(entry.row))
        yield table


def _named(entry: Decisive) -> Text:
    row = entry.row
    more = f" (+{entry.more})" if entry.more else ""
    return Text.assemble(" ", (words.better(row), STYLES.get(row.verdict, "")), f" {one_line(words.subject(row))}", (more, "dim"))


def _all(comparison: Comparison) -> Iterator[RenderableType]:
    titles = {axis.name: axis.title for axis in comparison.axes}
    for pair in comparison.pairs:
        for name in dict.fromkeys(row.axis for row in comparison.rows):
            rows = [row for row in comparison.rows if row.axis == name and row.runs == pair]
            if rows:
                yield Text.assemble("\n", (titles.get(name, name) or "Other metrics", "bold cyan"))
                yield from _tested(rows, pair)
                yield from (_line(line, "dim") for line in words.untested(rows))


def _tested(rows: Sequence[MetricComparison], pair: RunPair) -> Iterator[RenderableType]:
    """Every metric that was compared, metric by metric, its conditions below its title."""
    a, b = (words.letter(run) for run in pair)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for heading, right in (("", False), (a, True), (b, True), (f"{b} − {a} [95 %]", False), ("verdict", False)):
        table.add_column(heading, justify="right" if right else "left", no_wrap=right, overflow="fold")
    order = list(dict.fromkeys(row.metric.name for row in rows))
    told = sorted((row for row in rows if row.verdict not in words.UNTESTED), key=lambda row: order.index(row.metric.name))
    titles = [names.title(row.metric.name) for row in told]
    for i, row in enumerate(told):
        conditions = one_line(names.conditions(row.conditions))
        alone = titles.count(titles[i]) == 1
        if not alone and titles.index(titles[i]) == i:
            table.add_row(Text(one_line(titles[i])))
        label = Text.assemble(one_line(titles[i]) if alone else "", (f"  {conditions}" if conditions else "" if alone else "  overall", "dim"))
        p = words.p_value(row.p_value)
        verdict = Text(words.verdict(row.verdict, pair), style=STYLES.get(row.verdict, "dim"))
        verdict.append(f" {p}" if p else "", "dim")
        table.add_row(label, words.value(row.first, row), words.value(row.second, row), words.difference(row), verdict)
    if told:
        yield table


def _foot(comparison: Comparison, everything: bool) -> Iterator[RenderableType]:
    if comparison.unlike:
        named = comparison.unlike if everything else comparison.unlike[:UNLIKE]
        more = len(comparison.unlike) - len(named)
        yield Text.assemble(("Not compared", "bold"), (f" (and {more} more with --all)" if more else "", "dim"))
        yield from (Padding(_line(line, "dim"), (0, 0, 0, 1), expand=False) for line in named)
    yield from (_line(note, "dim") for note in words.notes(comparison))
    if not everything:
        yield _line(f"All {len(comparison.rows)} values: --all. With the radar: --format html --out page.html", "dim")


def _line(text: str, style: str = "") -> Text:
    return Text(one_line(text), style=style)
