"""Device reach: on how many of a ladder of device profiles the model answers in time and fits the memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

from efficient360.core.figures import Table
from efficient360.core.formatting import duration, interval, number
from efficient360.deployment.devices import latency_metrics
from efficient360.deployment.devices.profile import parse
from efficient360.errors import DeviceError, SettingsError
from efficient360.evaluator import ONE, Better, Context, Evaluator, Failure, Interval, Measurement, Metric, Model, Need, Outcome, Status
from efficient360.evaluators.latency import Latency

LIMITED = "limited:"
OUT_OF_REACH = ("worker-killed", "worker-hung")
"""How a worker ends for which the profile has too little memory or speed."""

REACH = Metric(
    "device_reach",
    ONE,
    Better.HIGHER,
    "Share of the device profiles on which the fastest runtime whose answers agree stays within the time budget and the profile's memory.",
    "0.1 s, the limit for a response that seems instantaneous: Nielsen, Usability Engineering, 1993, section 5.5",
    low=0,
    high=1,
)


@final
@dataclass(frozen=True)
class DeviceReach(Evaluator):
    """The share of device profiles on which one image is answered within an interactive budget and within the profile's memory.

    Each profile is this machine held to fewer cores, less memory and less CPU time, and stands in for a poorer one.

    Args:
        profiles: Devices as the latency evaluator takes them, poorest first.
        budget: Seconds that the median answer may take.
        runtimes: As the latency evaluator takes them; on each profile the fastest counts.
        runs: Timed runs at least.
        seconds: Timed seconds at least.
    """

    name: ClassVar[str] = "device_reach"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (REACH, latency_metrics.BEST)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MACHINE})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES})
    profiles: tuple[str, ...] = (
        "limited:1core-256mb-quota10",
        "limited:1core-512mb-quota25",
        "limited:1core-1gb-quota50",
        "limited:1core-2gb",
        "limited:2core-4gb",
    )
    budget: float = 0.1
    runtimes: tuple[str, ...] = ("onnxruntime?", "torch")
    runs: int = 30
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if not self.profiles or len(set(self.profiles)) < len(self.profiles):
            message = f"the setting profiles of device_reach is {list(self.profiles)}"
            raise SettingsError("bad-setting", message, "name at least one device, and each once")
        for profile in self.profiles:
            if profile.startswith(LIMITED):
                parse(profile.removeprefix(LIMITED))
        if self.budget <= 0:
            raise SettingsError("bad-setting", f"the setting budget of device_reach is {self.budget}", "give seconds above 0; 0.1 is usual")
        self._latency("local")

    def _latency(self, device: str) -> Latency:
        return Latency(self.runtimes, device, runs=self.runs, seconds=self.seconds)

    def surroundings(self) -> Mapping[str, Any]:
        """Versions of the runtimes that will be measured."""
        return self._latency("local").surroundings()

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Measure on every profile; without one of them there is no share.

        Raises:
            Unsupported: The model is neither a network in torch nor an artefact.
            OutOfTime: From ``context.deadline``.
        """
        found: list[tuple[str, Measurement | Failure]] = []
        for index, profile in enumerate(self.profiles):
            context.deadline.check()
            context.progress(index, len(self.profiles))
            folder = context.scratch / f"profile-{index}"
            folder.mkdir(exist_ok=True)
            inner = replace(context, scratch=folder, artefacts=context.artefacts or context.scratch, progress=_silent)
            found.append((profile, self._best(profile, model, inner)))
        yield self._reach(found)
        for _, outcome in found:
            yield replace(outcome, extra=()) if isinstance(outcome, Measurement) else outcome

    def _best(self, profile: str, model: Model, context: Context) -> Measurement | Failure:
        """The fastest runtime's latency on a profile, or why there is none."""
        given = {"device": profile}
        try:
            outcomes = list(self._latency(profile).evaluate(model, context))
        except (DeviceError, SettingsError) as error:
            return replace(Failure.of(Status.UNSUPPORTED, error, latency_metrics.BEST), conditions=given)
        best = next((o for o in outcomes if isinstance(o, Measurement) and o.metric == latency_metrics.BEST), None)
        if best is not None:
            return best
        failures = [o for o in outcomes if isinstance(o, Failure) and o.metric == latency_metrics.P50]
        reason = next((f for f in failures if f.code in OUT_OF_REACH), next(iter(failures), None))
        if reason is None:
            return Failure(Status.FAILED, "no-latency", f"nothing could be measured on {profile}", "", latency_metrics.BEST, given)
        return replace(reason, metric=latency_metrics.BEST, conditions=given)

    def _reach(self, found: list[tuple[str, Measurement | Failure]]) -> Outcome:
        unknown = [profile for profile, o in found if isinstance(o, Failure) and o.code not in OUT_OF_REACH]
        if unknown:
            message = f"{len(unknown)} of {len(found)} profiles could not be measured: {', '.join(unknown)}"
            hint = "see the reason of each, or set device_reach.profiles to what can be had here"
            return Failure(Status.UNSUPPORTED, "profiles-missing", message, hint, REACH)
        times = [o for _, o in found if isinstance(o, Measurement)]
        ends = [(o.value, o.interval.low, o.interval.high) if o.interval else (o.value,) * 3 for o in times]
        value, most, least = (sum(row[i] <= self.budget for row in ends) / len(found) for i in range(3))
        told = Interval(min(value, least), max(value, most), "intervals of the latencies")
        return Measurement(REACH, value, len(found), told, {"budget": f"{round(1000 * self.budget)} ms"}, extra=(self._table(found),))

    def _table(self, found: list[tuple[str, Measurement | Failure]]) -> Table:
        rows = []
        for profile, o in found:
            if isinstance(o, Failure):
                rows.append((profile, "no", "–", "–", o.message))
            else:
                fits = "yes" if o.value <= self.budget else "no"
                rows.append(
                    (profile, fits, number(o.value, latency_metrics.BEST), interval(o.interval, latency_metrics.BEST), str(o.conditions.get("runtime", "")))
                )
        return Table(f"Device profiles within {duration(self.budget)}", ("profile", "reached", "median", "95 % interval", "runtime, or why not"), tuple(rows))


def _silent(_done: int, _total: int) -> None:
    pass
