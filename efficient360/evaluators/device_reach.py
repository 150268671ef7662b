"""Device reach: share of a ladder of device profiles on which the model meets a latency budget and fits into memory."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, final

from pydantic import Field

from efficient360.core.figures import Table
from efficient360.core.formatting import duration, interval, number
from efficient360.core.settings import EachOnce, NotEmpty, Positive
from efficient360.deployment.devices import latency_metrics
from efficient360.deployment.devices.profile import parse
from efficient360.deployment.runtimes import catalogue
from efficient360.errors import DeviceError, SettingsError
from efficient360.evaluator import ONE, Better, Context, Evaluator, Failure, Interval, Measurement, Metric, Model, Need, Outcome, Status
from efficient360.evaluators.latency import Latency

LIMITED = "limited:"
OUT_OF_REACH = ("worker-killed", "worker-hung")
"""Failure codes of a worker for which the profile has too little memory or speed."""

REACH = Metric(
    "device_reach",
    ONE,
    Better.HIGHER,
    "Share of the device profiles on which the fastest runtime with matching outputs stays within the latency budget and the profile's memory.",
    "0.1 s, the limit for a response that seems instantaneous: Nielsen, Usability Engineering, 1993, section 5.5",
    low=0,
    high=1,
)


@final
@dataclass(frozen=True)
class DeviceReach(Evaluator):
    """The share of device profiles on which one image is classified within an interactive latency budget and within the profile's memory.

    Each profile is this machine restricted to fewer cores, less memory and less CPU time, as a stand-in for a weaker device.

    Args:
        profiles: Devices as the latency evaluator takes them, weakest first.
        budget: Upper bound of the median latency, in seconds.
        runtimes: As the latency evaluator takes them; on each profile the fastest counts.
        runs: Minimum number of timed runs, at least 3.
        seconds: Minimum duration of the timing, in seconds.
    """

    name: ClassVar[str] = "device_reach"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = (REACH, latency_metrics.BEST)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MACHINE})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"profiles": ("device_reach",), "runs": (), "seconds": ()}
    profiles: Annotated[tuple[str, ...], NotEmpty, EachOnce] = (
        "limited:1core-256mb-quota10",
        "limited:1core-512mb-quota25",
        "limited:1core-1gb-quota50",
        "limited:1core-2gb",
        "limited:2core-4gb",
    )
    budget: Positive = 0.1
    runtimes: tuple[str, ...] = ("onnxruntime?", "torch")
    runs: Annotated[int, Field(ge=3)] = 30
    seconds: Annotated[float, Field(ge=0)] = 1.0

    def __post_init__(self) -> None:
        for profile in self.profiles:
            if profile.startswith(LIMITED):
                parse(profile.removeprefix(LIMITED))
        catalogue.wanted(self.runtimes)

    def _latency(self, device: str) -> Latency:
        return Latency(self.runtimes, device, runs=self.runs, seconds=self.seconds)

    def cache_dependencies(self) -> Mapping[str, Any]:
        """Versions of the runtimes that will be measured."""
        return self._latency("local").cache_dependencies()

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Measure on every profile; without one of them there is no share.

        Raises:
            Unsupported: The model is neither a network in torch nor an artefact.
            OutOfTime: From ``context.deadline``.
        """
        results: list[tuple[str, Measurement | Failure]] = []
        for index, profile in enumerate(self.profiles):
            context.deadline.check()
            context.progress(index, len(self.profiles))
            folder = context.scratch / f"profile-{index}"
            folder.mkdir(exist_ok=True)
            profile_context = replace(context, scratch=folder, artefacts=context.artefacts or context.scratch, progress=_no_progress)
            results.append((profile, self._best_latency(profile, model, profile_context)))
        yield self._reach(results)
        for _, outcome in results:
            yield replace(outcome, extra=()) if isinstance(outcome, Measurement) else outcome

    def _best_latency(self, profile: str, model: Model, context: Context) -> Measurement | Failure:
        """The fastest runtime's latency on a profile, or why there is none."""
        conditions = {"device": profile}
        try:
            outcomes = list(self._latency(profile).evaluate(model, context))
        except (DeviceError, SettingsError) as error:
            return replace(Failure.of(Status.UNSUPPORTED, error, latency_metrics.BEST), conditions=conditions)
        best = next((o for o in outcomes if isinstance(o, Measurement) and o.metric == latency_metrics.BEST), None)
        if best is not None:
            return best
        failures = [o for o in outcomes if isinstance(o, Failure) and o.metric == latency_metrics.P50]
        failure = next((f for f in failures if f.code in OUT_OF_REACH), next(iter(failures), None))
        if failure is None:
            return Failure(Status.FAILED, "no-latency", f"no latency was measured on {profile}", "", latency_metrics.BEST, conditions)
        return replace(failure, metric=latency_metrics.BEST, conditions=conditions)

    def _reach(self, results: list[tuple[str, Measurement | Failure]]) -> Outcome:
        unknown = [profile for profile, o in results if isinstance(o, Failure) and o.code not in OUT_OF_REACH]
        if unknown:
            message = f"{len(unknown)} of {len(results)} profiles could not be measured: {', '.join(unknown)}"
            hint = "see the reason for each, or set device_reach.profiles to what is available here"
            return Failure(Status.UNSUPPORTED, "profiles-missing", message, hint, REACH)
        latencies = [o for _, o in results if isinstance(o, Measurement)]
        ends = [(o.value, o.interval.low, o.interval.high) if o.interval else (o.value,) * 3 for o in latencies]
        value, optimistic, pessimistic = (sum(row[i] <= self.budget for row in ends) / len(results) for i in range(3))
        bounds = Interval(min(value, pessimistic), max(value, optimistic), "intervals of the latencies", level=None)
        budget = {"budget": f"{round(1000 * self.budget)} ms"}
        return Measurement(REACH, value, len(results), bounds, budget, extra=(self._table(results),))

    def _table(self, results: list[tuple[str, Measurement | Failure]]) -> Table:
        rows = []
        for profile, o in results:
            if isinstance(o, Failure):
                rows.append((profile, "no", "–", "–", o.message))
            else:
                within = "yes" if o.value <= self.budget else "no"
                best = latency_metrics.BEST
                rows.append((profile, within, number(o.value, best), interval(o.interval, best), str(o.conditions.get("runtime", ""))))
        columns = ("profile", "within budget", "median latency", "95 % interval", "runtime or failure")
        return Table(f"Device profiles within {duration(self.budget)}", columns, tuple(rows))


def _no_progress(_done: int, _total: int) -> None:
    pass
