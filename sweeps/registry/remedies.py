"""What to change after a refusal: a clause for each failed gate, the gravest first."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sweeps.registry.challenger import Challenger
from sweeps.registry.contest import Champion
from sweeps.registry.gates import GateResult
from sweeps.registry.rediagnosis import Rediagnosis
from sweeps.registry.reseeding import name_of_seeds_sweep
from sweeps.registry.significance import GateOutcome

_BYTES_PER_MEGABYTE = 1000**2
_FOR_POWER = ((1.960 + 0.842) / 1.960) ** 2


class Clause(NamedTuple):
    """What is wrong, and what to change; no `remedy` if that of a graver clause applies."""

    problem: str
    remedy: str = ""


@dataclass(frozen=True)
class Remedies:
    """The failed `gates` of a challenger, and what explains them: its diagnosis, and the champion if there is one."""

    challenger: Challenger
    champion: Champion | None
    rediagnosis: Rediagnosis
    gates: Sequence[GateResult]

    def __str__(self) -> str:
        """Return the clauses in one line; problems with the same remedy share it."""
        failed = {gate.name: gate for gate in self.gates}
        problems: dict[str, list[str]] = {}
        for name, clauses in _CLAUSES.items():
            for problem, remedy in clauses(self, failed[name]) if name in failed else ():
                problems.setdefault(remedy, []).append(problem)
        parts = [" and ".join(found) + (f": {remedy}" if remedy else "") for remedy, found in problems.items()]
        return "; ".join(parts)

    def metrics_on_test(self, _gate: GateResult) -> Iterator[Clause]:
        """Say which test samples the sweep needs, or that the network computes no numbers."""
        benchmark = self.challenger.benchmark
        if not benchmark.has_test_samples:
            yield Clause("there are no test samples", "run again with data.n_test above 0")
        elif benchmark.arrays.validate_on == "test":
            yield Clause("the test samples selected this trial", "run again with data.validate_on other than test")
        else:
            yield Clause("its test metrics are not finite", self._diagnose)

    def same_data(self, _gate: GateResult) -> Iterator[Clause]:
        """Say how the champion becomes comparable."""
        yield Clause(
            "the champion was trained on other data",
            "train the champion's settings on the data of this sweep, and promote that model first",
        )

    def reloaded(self, _gate: GateResult) -> Iterator[Clause]:
        """Say that the package is at fault, not the network."""
        yield Clause(
            "the reloaded model does not compute what the trained network does",
            "promote again, and if it fails again, report this as a bug with the sweep file",
        )

    def diagnosis(self, _gate: GateResult) -> Iterator[Clause]:
        """Name each blocking finding with the change that it advises."""
        blocking = self.challenger.benchmark.limits.blocking
        for name in self.rediagnosis.findings:
            if name in blocking:
                remedy = self.rediagnosis.advice.get(name, self._diagnose)
                yield Clause(f'the diagnosis at epoch {self.rediagnosis.epoch} found "{name}"', remedy)

    def dead_units(self, gate: GateResult) -> Iterator[Clause]:
        """Give the advice of the diagnosis if it found the dead units too."""
        remedy = self.rediagnosis.advice.get("dead units", "make the code smaller")
        yield Clause(f"{gate.numbers['share']:.1%} of the code's units are constant", remedy)

    def reference(self, gate: GateResult) -> Iterator[Clause]:
        """Say how many test samples would show a lower loss, if nothing else keeps the trial from being promoted."""
        name = self.challenger.benchmark.baseline.name
        is_lower = (
            gate.outcome is GateOutcome.TIE and gate.numbers["difference"] < 0 and math.isfinite(gate.numbers["high"])
        )
        if not is_lower or any(other.name != "reference" and not self._lacks_champion(other) for other in self.gates):
            yield self._comparison(gate, name)
            return
        n_test = len(self.challenger.benchmark.arrays.test)
        yield Clause(
            f"its loss is lower than that of {name}, but {n_test} test samples are too few to show it",
            f"run again with data.n_test at about {samples_needed(gate, n_test)}, which would probably show it, or add "
            "--force (force=True in Python), which is recorded",
        )

    def beats_champion(self, gate: GateResult) -> Iterator[Clause]:
        """Say that there is no champion yet, or how the comparison with it ended."""
        if self.champion is None:
            yield Clause("no version holds the alias yet", "add --first (first=True in Python)")
        elif self.champion.problem is not None:
            yield Clause(
                f"the champion, version {self.champion.version}, cannot be loaded",
                "promote its trial again, or add --force (force=True in Python), which is recorded, to replace it",
            )
        elif gate.numbers:
            yield self._comparison(gate, f"the champion, version {self.champion.version}")
        elif self.champion.model is not None:  # else it was trained on other data, which `same_data` says
            yield Clause("the champion outputs no classes", "run again with promotion.compare set to another loss")

    def seeds(self, _gate: GateResult) -> Iterator[Clause]:
        """Name the sweep of the other seeds."""
        sweep = name_of_seeds_sweep(self.challenger.benchmark)
        yield Clause("it does not pass with other seeds", f"`sweeps status {sweep}` shows how they trained")

    def size(self, gate: GateResult) -> Iterator[Clause]:
        """Name the limit."""
        megabytes, limit = (gate.numbers[name] / _BYTES_PER_MEGABYTE for name in ("bytes", "limit"))
        yield Clause(
            f"its {megabytes:.3g} MB exceed {limit:g} MB",
            "make the network smaller, or run again with a higher promotion.max_size_mb",
        )

    def latency(self, gate: GateResult) -> Iterator[Clause]:
        """Name the limit, and that the machine may be at fault."""
        yield Clause(
            f"its {gate.numbers['milliseconds']:.3g} ms for one sample exceed {gate.numbers['limit']:g} ms",
            "promote on an idle machine, make the network smaller, or run again with a higher promotion.max_latency_ms",
        )

    @property
    def _diagnose(self) -> str:
        return f"`sweeps diagnose {self.challenger.result.sweep}/{self.challenger.ranked.trial}` shows what to change"

    def _lacks_champion(self, gate: GateResult) -> bool:
        return gate.name == "champion" and self.champion is None

    def _comparison(self, gate: GateResult, other: str) -> Clause:
        """Describe a lost comparison or a tie; the remedy of a failed diagnosis applies to it too."""
        is_blocked = any(failed.name == "diagnosis" for failed in self.gates)
        remedy = "" if is_blocked else self._diagnose
        if gate.outcome is GateOutcome.TIE:
            useless = ", and more test samples alone would not help" if is_blocked else ""
            return Clause(f"it is not shown to beat {other}{useless}", remedy)
        if math.isnan(gate.numbers["low"]):
            return Clause(f"the losses that compare it with {other} are not finite", remedy)
        return Clause(f"it is worse than {other}", remedy)


def samples_needed(gate: GateResult, n_test: int) -> int:
    """Return how many test samples would show the difference that a tied gate measured, to two digits, rounded up.

    The width of the interval falls with the square root of the number of samples. At the number that makes the interval
    just exclude 0, another sample of that size would show the difference half of the time: the result has a power of
    80 %, by the normal approximation n ∝ (z_(1-α/2) + z_0.8)² (Cohen 1988, section 2.4), here for α = 0.05.
    """
    difference, high = gate.numbers["difference"], gate.numbers["high"]
    needed = _FOR_POWER * n_test * ((high - difference) / difference) ** 2
    unit: int = 10 ** max(0, math.floor(math.log10(needed)) - 1)
    return math.ceil(needed / unit) * unit


# The clauses of each gate by its name, the gravest first: what makes a judgement impossible, then what the network has
# not learned, then what its limits and its comparisons say.
_CLAUSES: Mapping[str, Callable[[Remedies, GateResult], Iterator[Clause]]] = {
    "test metrics": Remedies.metrics_on_test,
    "same data": Remedies.same_data,
    "reloaded": Remedies.reloaded,
    "diagnosis": Remedies.diagnosis,
    "dead units": Remedies.dead_units,
    "reference": Remedies.reference,
    "champion": Remedies.beats_champion,
    "seeds": Remedies.seeds,
    "size": Remedies.size,
    "latency": Remedies.latency,
}
