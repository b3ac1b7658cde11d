"""What to do after a refused promotion, in one line: another trial that would pass, or why none would."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.evaluation import load_best_network
from sweeps.registry.benchmark import Benchmark
from sweeps.registry.challenger import Challenger
from sweeps.registry.contest import Champion, Contest
from sweeps.registry.gates import NETWORK_GATES, GateResult, failed, judge
from sweeps.registry.promotion import Request
from sweeps.registry.rediagnosis import rediagnose
from sweeps.registry.significance import GateOutcome
from sweeps.tracking.results import RankedTrial

# Examining a trial takes up to seconds, and each one examined makes the test for all of them stricter.
MAX_EXAMINED = 5
_COMPARISONS = ("champion", "reference")


@dataclass(frozen=True)
class Refusal:
    """A challenger that its gates refused, and the champion it was judged against."""

    challenger: Challenger
    champion: Champion | None
    request: Request
    gates: Sequence[GateResult]

    def advice(self) -> str | None:
        """Return what to do; None if the failed gates are about the data or the package, and say it themselves."""
        names = [gate.name for gate in failed(self.gates)]
        if self._lacks_champion and names == ["champion"]:
            return f"it passes every other gate: `{self._command(self.challenger.ranked)} --first`"
        if not set(names) <= set(NETWORK_GATES):
            return None
        others = self._others()
        passing = next((ranked for ranked in others if self._would_pass(ranked, len(others))), None)
        if passing is not None:
            rank = self.challenger.result.ranking.index(passing) + 1
            first = " --first" if self.champion is None else ""
            return f"trial {passing.trial}, rank {rank}, would pass: `{self._command(passing)}{first}`"
        return f"{self._way_out()}{self._none_passes(len(others))}"

    @property
    def _lacks_champion(self) -> bool:
        return self.champion is None and not self.request.first

    def _others(self) -> list[RankedTrial]:
        """The leading trials besides the challenger, best first."""
        ranking = self.challenger.result.ranking[: MAX_EXAMINED + 1]
        return [ranked for ranked in ranking if ranked.trial != self.challenger.ranked.trial][:MAX_EXAMINED]

    def _would_pass(self, ranked: RankedTrial, n_examined: int) -> bool:
        """Whether a trial passes the gates of a network, at a confidence that allows for the number examined.

        The more trials are compared on the same test samples, the likelier one of them is better by luck. With the
        error rate divided by their number, all together have that rate (Bonferroni).
        """
        result, arrays = self.challenger.result, self.challenger.benchmark.arrays
        strict = result.config.promotion.model_copy(update={"confidence": self._confidence(n_examined)})
        sweep = result.config.model_copy(update={"promotion": strict})
        trial = sweep.trial_at(dict(ranked.point))
        network = load_best_network(result, ranked.trial)
        rediagnosis = rediagnose(result, ranked, trial, arrays, network)
        contest = Contest(Benchmark(sweep, trial, arrays), network, rediagnosis, self.champion, first=True)
        return not failed(judge(contest, NETWORK_GATES))

    def _none_passes(self, n_examined: int) -> str:
        if not n_examined:
            return ""
        others = "the best other trial" if n_examined == 1 else f"any of the {n_examined} best other trials"
        strict = self._confidence(n_examined)
        return f". Nor would {others} pass at {100 * strict:.4g} % confidence, which allows for the number examined"

    def _confidence(self, n_examined: int) -> float:
        """The confidence of each comparison, so that all together err as seldom as one at that of the sweep file."""
        return 1 - (1 - self.challenger.benchmark.limits.confidence) / n_examined

    def _way_out(self) -> str:
        """What to do about the gate that the challenger failed."""
        gate = next(gate for gate in failed(self.gates) if not (gate.name == "champion" and self._lacks_champion))
        result = self.challenger.result
        if gate.name == "reference" and gate.outcome is GateOutcome.TIE and gate.numbers["difference"] < 0:
            n_test = len(self.challenger.benchmark.arrays.test)
            return (
                f"its loss is lower than the baseline's, but {n_test} test samples are too few to show it: run again "
                f"with data.n_test at about {samples_needed(gate, n_test)}, or add --force, which is recorded"
            )
        if gate.name in _COMPARISONS:
            other = "the champion" if gate.name == "champion" else "a simple baseline"
            return (
                f"it is not shown to beat {other}: `sweeps diagnose {result.sweep}/{self.challenger.ranked.trial}` "
                "shows what to change"
            )
        return f"`sweeps diagnose {result.sweep}/{self.challenger.ranked.trial}` shows what to change"

    def _command(self, ranked: RankedTrial) -> str:
        alias = "" if self.request.alias == Request(self.request.model).alias else f" --alias {self.request.alias}"
        return f"sweeps promote {self.challenger.result.sweep}/{ranked.trial} --model {self.request.model}{alias}"


def samples_needed(gate: GateResult, n_test: int) -> int:
    """Return how many test samples would show the difference that a tied gate measured, to two digits, rounded up.

    The width of the interval falls with the square root of the number of samples.
    """
    difference, high = gate.numbers["difference"], gate.numbers["high"]
    needed = n_test * ((high - difference) / difference) ** 2
    unit: int = 10 ** max(0, math.floor(math.log10(needed)) - 1)
    return math.ceil(needed / unit) * unit
