"""What to do after a refused promotion, in one line: another trial that would pass, or why none would."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sweeps.evaluation import load_best_network
from sweeps.registry.benchmark import Benchmark
from sweeps.registry.challenger import Challenger
from sweeps.registry.contest import Champion, Contest
from sweeps.registry.gates import NETWORK_GATES, GateResult, failed, judge
from sweeps.registry.promotion import Request
from sweeps.registry.rediagnosis import Rediagnosis, rediagnose
from sweeps.registry.remedies import Remedies
from sweeps.tracking.results import RankedTrial

# Examining a trial takes up to seconds, and each one examined makes the test for all of them stricter.
MAX_EXAMINED = 5
_COMPARISONS = ("champion", "reference")


@dataclass(frozen=True)
class Refusal:
    """A challenger that its gates refused, with its diagnosis, and the champion it was judged against.

    `log` is called with a line before other trials are judged, which may take minutes.
    """

    challenger: Challenger
    champion: Champion | None
    rediagnosis: Rediagnosis
    request: Request
    gates: Sequence[GateResult]
    log: Callable[[str], None]

    def advice(self) -> str:
        """Return what to do: promote another trial, or what to change for each failed gate."""
        names = [gate.name for gate in failed(self.gates)]
        if self._lacks_champion and names == ["champion"]:
            return f"it passes every other gate: `{self._command(self.challenger.ranked)} --first`"
        remedies = str(Remedies(self.challenger, self.champion, self.rediagnosis, failed(self.gates)))
        others = self._others() if self._has_lost_comparison(names) else []
        if not others:
            return remedies
        self.log(f"checking whether another trial would pass ({len(others)} at most) ...")
        passing = next((ranked for ranked in others if self._would_pass(ranked, len(others))), None)
        if passing is not None:
            rank = self.challenger.result.ranking.index(passing) + 1
            first = " --first" if self.champion is None else ""
            return f"trial {passing.trial}, rank {rank}, would pass: `{self._command(passing)}{first}`"
        return f"{remedies}. {self._none_passes(len(others))}"

    @property
    def _lacks_champion(self) -> bool:
        return self.champion is None and not self.request.first

    def _has_lost_comparison(self, names: Sequence[str]) -> bool:
        """Whether another trial may pass: a comparison is lost, and only gates of a network have failed."""
        if self.champion is not None and self.champion.problem is not None:
            return False
        lost = {"reference"} if self.champion is None else set(_COMPARISONS)
        return bool(lost & set(names)) and set(names) <= set(NETWORK_GATES)

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
        benchmark = Benchmark(sweep, trial, arrays, network.code_size)
        contest = Contest(benchmark, network, rediagnosis, self.champion, first=True)
        return not failed(judge(contest, NETWORK_GATES))

    def _none_passes(self, n_examined: int) -> str:
        is_best = self.challenger.ranked.trial == self.challenger.result.ranking[0].trial
        others = "next best" if is_best else "best other"
        if n_examined == 1:
            return f"The {others} trial would not pass either"
        percent = f"{100 * self._confidence(n_examined):.4g} %"
        tested = f"each tested at {percent} confidence, because {n_examined} are tested"
        return f"None of the {n_examined} {others} trials would pass either ({tested})"

    def _confidence(self, n_examined: int) -> float:
        """The confidence of each comparison, so that all together err as seldom as one at that of the sweep file."""
        return 1 - (1 - self.challenger.benchmark.limits.confidence) / n_examined

    def _command(self, ranked: RankedTrial) -> str:
        alias = "" if self.request.alias == Request(self.request.model).alias else f" --alias {self.request.alias}"
        return f"sweeps promote {self.challenger.result.sweep}/{ranked.trial} --model {self.request.model}{alias}"
