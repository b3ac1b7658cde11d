"""What a challenger must pass before an alias moves. To add a gate, write its function and list it at the end."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from sweeps.registry.benchmark import data_identity
from sweeps.registry.contest import Contest
from sweeps.registry.packaging import CLASSES
from sweeps.registry.rediagnosis import Rediagnosis
from sweeps.registry.sample_losses import package_predictor
from sweeps.registry.significance import Comparison, GateOutcome

RELOAD_TOLERANCE = 1e-5
_BYTES_PER_MEGABYTE = 1000**2
_NO_NUMBERS: Mapping[str, float] = MappingProxyType({})


class Judgement(NamedTuple):
    """What a gate decides: an outcome, a sentence that gives the reason, and the numbers behind it."""

    outcome: GateOutcome
    sentence: str
    numbers: Mapping[str, float] = _NO_NUMBERS


GateFunction = Callable[[Contest], Judgement | None]


@dataclass(frozen=True)
class GateResult:
    """The judgement of one gate, by the gate's name."""

    name: str
    outcome: GateOutcome
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        """Whether the challenger may be promoted as far as this gate is concerned."""
        return self.outcome in (GateOutcome.PASSED, GateOutcome.NOT_APPLICABLE)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values; a number that JSON cannot hold, such as NaN, becomes None."""
        numbers = {name: value if math.isfinite(value) else None for name, value in self.numbers.items()}
        return {"name": self.name, "outcome": str(self.outcome), "sentence": self.sentence, "numbers": numbers}


def judge(contest: Contest, gates: Mapping[str, GateFunction] | None = None) -> list[GateResult]:
    """Judge a challenger by `gates`, by default all; a gate that gives no judgement is left out."""
    judgements = {name: gate(contest) for name, gate in (GATES if gates is None else gates).items()}
    return [GateResult(name, *judgement) for name, judgement in judgements.items() if judgement is not None]


def failed(results: Iterable[GateResult]) -> list[GateResult]:
    """Return the results that keep the champion in place: failures and ties."""
    return [result for result in results if not result.passes]


def metrics_on_test(contest: Contest) -> Judgement:
    """Require finite metrics of the packaged model on test samples that the search has not used."""
    arrays = contest.benchmark.arrays
    if not contest.benchmark.has_test_samples:
        return Judgement(GateOutcome.FAILED, "no test samples: run the sweep with data.n_test above 0")
    metrics = contest.test_metrics()
    if arrays.validate_on == "test":
        sentence = "the test samples selected this trial (data.validate_on is test), so they are no evidence for it"
        return Judgement(GateOutcome.FAILED, sentence, metrics)
    broken = [name for name, value in metrics.items() if not math.isfinite(value)]
    if broken:
        return Judgement(GateOutcome.FAILED, f"{', '.join(broken)} must be finite", metrics)
    values = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    return Judgement(GateOutcome.PASSED, f"on {len(arrays.test)} test samples: {values}", metrics)


def same_data(contest: Contest) -> Judgement:
    """Require the champion's data set and test samples: models are comparable only on the same samples."""
    if contest.champion is None:
        return Judgement(GateOutcome.NOT_APPLICABLE, "there is no champion")
    ours, theirs = data_identity(contest.benchmark.arrays), contest.champion.tags
    different = [name for name, value in ours.items() if theirs.get(name) != value]
    if not different:
        return Judgement(GateOutcome.PASSED, f"the champion's: {', '.join(map(_short, ours.values()))}")
    differences = "; ".join(f"{name} {_short(ours[name])}, not {_short(theirs.get(name))}" for name in different)
    sentence = f"not the champion's ({differences}): train the champion's settings on these data and promote that first"
    return Judgement(GateOutcome.FAILED, sentence)


def champion(contest: Contest) -> Judgement | None:
    """Require a challenger that is better than the champion, or `first` if no version holds the alias."""
    if not contest.benchmark.has_test_samples:
        return None
    holder = contest.champion
    if holder is None and contest.first:
        return Judgement(GateOutcome.NOT_APPLICABLE, "no version holds the alias; this is the first champion")
    if holder is None:
        sentence = "no version holds the alias, so there is no champion to beat: pass --first (first=True in Python)"
        return Judgement(GateOutcome.FAILED, sentence)
    if holder.is_renewed:
        sentence = f"version {holder.version} is the same network, packaged by an earlier release: it is packaged again"
        return Judgement(GateOutcome.NOT_APPLICABLE, sentence)
    if holder.problem is not None:
        return _incomparable(holder.version, holder.problem)
    if holder.model is None:
        return _incomparable(holder.version, "it was trained on other data")
    if contest.benchmark.loss == "classification_error" and CLASSES not in holder.model.columns:
        return _incomparable(holder.version, "it outputs no classes; set promotion.compare to another loss")
    theirs = package_predictor(holder.model, contest.benchmark.arrays.scale)
    return _judge_comparison(contest.benchmark.compare(contest.predict, theirs), f"version {holder.version}")


def reference(contest: Contest) -> Judgement | None:
    """Require a challenger that is better than the baseline."""
    if not contest.benchmark.has_test_samples:
        return None
    baseline = contest.benchmark.baseline
    comparison = contest.benchmark.compare_with_baseline(contest.predict)
    outcome, sentence, numbers = _judge_comparison(comparison, baseline.name)
    return Judgement(outcome, f"{sentence}; {baseline.reason}", numbers)


def diagnosis(contest: Contest) -> Judgement:
    """Forbid the blocking findings in the network at its best epoch."""
    found, blocking = contest.rediagnosis, contest.limits.blocking
    blockers = [name for name in found.findings if name in blocking]
    numbers = {"blocking": len(blockers), "epoch": found.epoch, "last_epoch": found.last_epoch}
    if blockers:
        sentence = f"{', '.join(blockers)}, at epoch {found.epoch}{_at_end(found)}"
        return Judgement(GateOutcome.FAILED, sentence, numbers)
    words = f"no blocking finding ({', '.join(found.findings)})" if found.findings else "no finding"
    return Judgement(GateOutcome.PASSED, f"{words} at epoch {found.epoch}{_at_end(found)}", numbers)


def dead_units(contest: Contest) -> Judgement | None:
    """Limit the share of the code's units that are constant on the test samples."""
    if not contest.benchmark.has_test_samples:
        return None
    share, limit = contest.dead_unit_share(), contest.limits.max_dead_units
    sentence = f"{share:.1%} of the code's units are constant, limit {limit:.1%}"
    return Judgement(_within(share, limit), sentence, {"share": share, "limit": limit})


def reloaded(contest: Contest) -> Judgement:
    """Require the outputs of the trained network from the package, as `sweeps score` and as MLflow reload it."""
    difference, limit = contest.reload_difference(), RELOAD_TOLERANCE
    sentence = f"reloaded and trained model differ by {difference:.2g}, limit {limit:g}"
    return Judgement(_within(difference, limit), sentence, {"difference": difference, "limit": limit})


def size(contest: Contest) -> Judgement:
    """Limit the size of the packaged model, all its files together, in megabytes of 10⁶ bytes."""
    n_bytes, limit_mb = contest.model.size_bytes, contest.limits.max_size_mb
    limit = limit_mb * _BYTES_PER_MEGABYTE
    sentence = f"{n_bytes / _BYTES_PER_MEGABYTE:.3g} MB, limit {limit_mb:g} MB"
    return Judgement(_within(n_bytes, limit), sentence, {"bytes": n_bytes, "limit": limit})


def latency(contest: Contest) -> Judgement:
    """Limit the time that the packaged model takes for one sample on this machine."""
    milliseconds, limit = contest.model.latency_ms(contest.some_inputs[:1]), contest.limits.max_latency_ms
    sentence = f"{milliseconds:.3g} ms for one sample on this machine, limit {limit:g} ms"
    return Judgement(_within(milliseconds, limit), sentence, {"milliseconds": milliseconds, "limit": limit})


def seeds(contest: Contest) -> Judgement | None:
    """Require that the median of the retrained seeds passes the gates of a network."""
    if contest.reseed is None:
        return None
    again = contest.reseed(contest)
    losses, n_seeds = again.losses, len(again.losses)
    numbers: dict[str, float] = {"seed": again.seed, "seeds": n_seeds}
    if losses:
        numbers |= {"best": min(losses), "worst": max(losses)}
    if again.median is None or n_seeds < again.n_seeds:
        return Judgement(GateOutcome.FAILED, f"only {n_seeds} of {again.n_seeds} seeds finished", numbers)
    failures = failed(judge(again.median, NETWORK_GATES))
    if failures:
        reasons = "; ".join(f"{result.name}: {result.sentence}" for result in failures)
        is_tie = all(result.outcome is GateOutcome.TIE for result in failures)
        sentence = f"seed {again.seed}, the median of {n_seeds}, does not pass: {reasons}"
        return Judgement(GateOutcome.TIE if is_tie else GateOutcome.FAILED, sentence, numbers)
    spread = f"losses from {min(losses):.4g} to {max(losses):.4g}"
    return Judgement(GateOutcome.PASSED, f"seed {again.seed}, the median of {n_seeds}, passes; {spread}", numbers)


def _within(value: float, limit: float) -> GateOutcome:
    """Return PASSED up to the limit and at it; NaN fails, since it compares with nothing."""
    return GateOutcome.PASSED if value <= limit else GateOutcome.FAILED


def _judge_comparison(comparison: Comparison, other: str) -> Judgement:
    return Judgement(comparison.outcome, comparison.describe(other), comparison.numbers)


def _incomparable(version: str, reason: str) -> Judgement:
    return Judgement(GateOutcome.FAILED, f"cannot be compared with version {version}: {reason}")


def _at_end(found: Rediagnosis) -> str:
    """Describe the findings at the end of the training, if that was after the best epoch."""
    if found.at_end is None or found.last_epoch == found.epoch:
        return ""
    return f"; at the end of training, epoch {found.last_epoch}: {', '.join(found.at_end) or 'no finding'}"


def _short(value: str | None) -> str:
    if value is None:
        return "unknown"
    return value if len(value) < 32 else f"{value[:12]}…"


# The gates of what a network has learned, however it is packaged: the median of several seeds must pass them too.
NETWORK_GATES: Mapping[str, GateFunction] = {
    "champion": champion,
    "reference": reference,
    "diagnosis": diagnosis,
    "dead units": dead_units,
}
# Every gate by its name, in the order of the report. A limit is a field of PromotionConfig.
GATES: Mapping[str, GateFunction] = {
    "test metrics": metrics_on_test,
    "same data": same_data,
    **NETWORK_GATES,
    "reloaded": reloaded,
    "size": size,
    "latency": latency,
    "seeds": seeds,
}
