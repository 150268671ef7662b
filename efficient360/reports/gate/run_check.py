"""A run held against rules, from Python: ``efficient360.check``."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from efficient360.core.paths import user_path
from efficient360.plugins.registry import dimensions
from efficient360.reports.comparing.example_values import ExampleTable
from efficient360.reports.comparing.run import Run
from efficient360.reports.folder import read
from efficient360.reports.gate.check import ALPHA
from efficient360.reports.gate.check import check as check_run
from efficient360.reports.gate.junit import junit
from efficient360.reports.gate.markdown import markdown
from efficient360.reports.gate.plain import to_json
from efficient360.reports.gate.results import Check, RuleResult, State
from efficient360.reports.gate.rule import Kind, parse_rule
from efficient360.reports.gate.rules_file import RulesFile, read_rules
from efficient360.reports.run_report import RunReport


@final
@dataclass(frozen=True, repr=False)
class CheckResult:
    """The result of :func:`efficient360.check`. ``passed`` says whether the run may go on; the forms say why.

    Args:
        check: The check as plain data.
    """

    check: Check

    @property
    def passed(self) -> bool:
        """Whether no rule fails the check."""
        return self.check.passed

    @property
    def results(self) -> Sequence[RuleResult]:
        """One per rule and value."""
        return self.check.results

    @property
    def failures(self) -> Sequence[RuleResult]:
        """The results that fail the check."""
        return self.check.failures

    def __repr__(self) -> str:
        """One line: passed or failed, and how many results are in which state."""
        counts = Counter(result.state for result in self.check.results)
        told = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
        against = f" against {self.check.baseline}" if self.check.baseline else ""
        return f"<CheckResult of {self.check.run}{against}: {'passed' if self.passed else 'failed'} ({told})>"

    def to_markdown(self) -> str:
        """A summary for a pull request or a job's page."""
        return markdown(self.check)

    def to_junit(self) -> str:
        """JUnit XML, a test case for each rule and value."""
        return junit(self.check)

    def to_json(self) -> dict[str, Any]:
        """Plain data: dictionaries, lists, texts and finite numbers."""
        return to_json(self.check)

    def to_frame(self) -> Any:
        """A row of a ``pandas.DataFrame`` for each rule and value, with the keys of :meth:`to_json`'s results as columns."""
        import pandas as pd

        return pd.DataFrame(self.to_json()["results"])


def check(
    run: RunReport | str | Path,
    *,
    baseline: RunReport | str | Path | None = None,
    fail_if: str | Sequence[str] = (),
    require: str | Sequence[str] = (),
    rules: str | Path | None = None,
    alpha: float | None = None,
    strict: bool = False,
    proven: bool = False,
    plugins: Sequence[str | Path] = (),
) -> CheckResult:
    """Hold a run against rules, as ``efficient360 check`` does: ``check("runs/new", baseline="runs/main", fail_if="top1 < -0.5pt").passed``.

    A rule fails only beyond chance: by the tests of :func:`efficient360.compare`, one-sided, Holm-adjusted over the check.

    Args:
        run: A report, or the folder of a run.
        baseline: The one that changes are measured from.
        fail_if: What must not be. A limit with a sign is a change against the baseline (``"top1 < -0.5pt"``, ``"latency_p50 > +10%"``), one without is the
            value (``"latency_p50 > 20ms"``).
        require: What must be (``"robust_accuracy[epsilon=4/255] >= 20%"``, ``"axes.privacy >= 0.5"``); a missing value fails, too.
        rules: YAML file with further rules.
        alpha: Chance of a false alarm of the whole check; 0.025 unless the file says another.
        strict: Values decide by themselves, without regard to chance, and what is missing or undecided fails.
        proven: A requirement fails, too, where its value keeps it and its 95 % interval does not, or it has none.
        plugins: Files with further dimensions.

    Raises:
        SettingsError: A rule can't be read or doesn't fit its metric (``bad-rule``), a metric doesn't exist (``unknown-metric``), a change has no baseline
            (``no-baseline``), or the file is no file of rules (``bad-rules``).
        RunError: A folder holds no run.
    """
    file = RulesFile(()) if rules is None else read_rules(user_path(rules))
    given = [(Kind.FAIL_IF, fail_if), (Kind.REQUIRE, require)]
    parsed = [parse_rule(kind, text) for kind, texts in given for text in ([texts] if isinstance(texts, str) else texts)]
    base = baseline if baseline is not None else file.baseline or None
    ours, theirs = _loaded(run, plugins), None if base is None else _loaded(base, plugins)
    chance = next((number for number in (alpha, file.alpha) if number is not None), ALPHA)
    all_rules, modes = [*file.rules, *parsed], (strict or file.strict, proven or file.proven)
    if theirs is None:
        return CheckResult(check_run(Run(ours.report, ExampleTable({}), ours.folder), all_rules, None, chance, *modes))
    sides = [Run.of(one.report, one.folder) for one in (ours, theirs)]
    return CheckResult(check_run(sides[0], all_rules, sides[1], chance, *modes))


def _loaded(run: RunReport | str | Path, plugins: Sequence[str | Path]) -> RunReport:
    if isinstance(run, RunReport):
        return run
    folder = user_path(run)
    return RunReport(read(folder, dimensions([user_path(path) for path in plugins])), folder)
