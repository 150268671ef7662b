"""A run as it is compared or checked: its report with the values of its examples."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from efficient360.core.outcome import Record
from efficient360.reports.comparing.example_values import ExampleTable, ExampleValues
from efficient360.reports.comparing.sources import values_behind
from efficient360.reports.report import Report


@final
@dataclass(frozen=True)
class Run:
    """A run as it is compared or checked.

    Args:
        report: Its report.
        table: Its per-example values; an empty one where none are needed.
        folder: Its folder, for the record.
    """

    report: Report
    table: ExampleTable
    folder: Path = Path()
    _behind: dict[int, ExampleValues | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, report: Report, folder: Path) -> "Run":
        """A report with the per-example values in its folder.

        Raises:
            RunError: They can't be read.
        """
        return cls(report, ExampleTable.of(folder), folder)

    def values(self, record: Record) -> ExampleValues | None:
        """The values behind one of its records, ``None`` where it kept none that give the number; looked up once."""
        if id(record) not in self._behind:
            self._behind[id(record)] = values_behind(record, self.table)
        return self._behind[id(record)]

    @property
    def name(self) -> str:
        """Name of the checkpoint."""
        return str(self.report.checkpoint.get("name", ""))

    @property
    def digest(self) -> object:
        """Digest of the data; ``None`` without any."""
        return None if self.report.dataset is None else self.report.dataset["digest"]
