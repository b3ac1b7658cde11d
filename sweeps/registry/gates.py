"""What a challenger must pass before an alias moves: pure functions from numbers to a verdict and its sentence."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sweeps.registry.rediagnosis import Examined
from sweeps.registry.significance import Comparison, Outcome

TOLERANCE = 1e-5
_KILOBYTE = 1000


@dataclass(frozen=True)
class Gate:
    """One condition: its outcome, a sentence that says why, and the numbers that decided."""

    name: str
    outcome: Outcome
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it lets the challenger pass."""
        return self.outcome in (Outcome.PASSED, Outcome.NOT_APPLICABLE)

    def to_dict(self) -> dict[str, Any]:
        """The gate as plain values; JSON has no NaN, so a number that is none is null."""
        numbers = {name: value if math.isfinite(value) else None for name, value in self.numbers.items()}
        return asdict(self) | {"outcome": str(self.outcome), "numbers": numbers}


def closed(gates: Iterable[Gate]) -> list[Gate]:
    """The gates that leave the champion in its place."""
    return [gate for gate in gates if not gate.is_open]


def fresh_metrics(metrics: Mapping[str, float], n_samples: int, *, chosen_on_test: bool) -> Gate:
    """Metrics of the test split, taken afresh, say something: there are samples, unseen by the search, and values."""
    if not n_samples:
        sentence = "no test samples were set aside: run the sweep with data.n_test above 0"
        return Gate("test metrics", Outcome.FAILED, sentence)
    if chosen_on_test:
        sentence = "the test samples chose this trial (data.validate_on test), so that they are no evidence for it"
        return Gate("test metrics", Outcome.FAILED, sentence, metrics)
    broken = [name for name, value in metrics.items() if not math.isfinite(value)]
    if broken:
        return Gate("test metrics", Outcome.FAILED, f"{', '.join(broken)} must be finite", metrics)
    values = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    return Gate("test metrics", Outcome.PASSED, f"on {n_samples} test samples: {values}", metrics)


def same_data(challenger: Mapping[str, str], champion: Mapping[str, str] | None) -> Gate:
    """Both were made for the same data and the same test samples, by the tags that say so: else nothing compares."""
    if champion is None:
        return Gate("same data", Outcome.NOT_APPLICABLE, "there is no champion")
    different = [name for name, value in challenger.items() if champion.get(name) != value]
    if not different:
        return Gate("same data", Outcome.PASSED, f"the champion's: {', '.join(map(_short, challenger.values()))}")
    told = "; ".join(f"{name} {_short(challenger[name])}, not {_short(champion.get(name))}" for name in different)
    sentence = f"not the champion's ({told}): train the champion's settings on these data and promote that first"
    return Gate("same data", Outcome.FAILED, sentence)


def champion(comparison: Comparison | None, *, version: str | None, first: bool, hindrance: str = "") -> Gate:
    """Better than the version that holds the alias, or the first to hold it where that was asked for."""
    if version is None and first:
        return Gate("champion", Outcome.NOT_APPLICABLE, "no version holds the alias: this is to be the first")
    if version is None:
        sentence = "no version holds the alias, so there is nothing to be better than: pass --first if this is meant"
        return Gate("champion", Outcome.FAILED, sentence)
    if comparison is None:
        return Gate("champion", Outcome.FAILED, f"cannot be compared with version {version}: {hindrance}")
    return Gate("champion", comparison.outcome, comparison.told(f"version {version}"), comparison.numbers)


def reference(comparison: Comparison | None, name: str, reason: str) -> Gate:
    """Better than the simple model `name`, chosen for `reason`."""
    if comparison is None:
        return Gate("reference", Outcome.FAILED, f"cannot be compared with {name}: {reason}")
    return Gate("reference", comparison.outcome, f"{comparison.told(name)}; {reason}", comparison.numbers)


def diagnosis(examined: Examined, blocking: Sequence[str]) -> Gate:
    """None of the findings of the network, at the epoch that won, is one that blocks."""
    found, grave = examined.findings, [name for name in examined.findings if name in blocking]
    numbers = {"blocking": len(grave), "epoch": examined.epoch, "last_epoch": examined.last_epoch}
    if grave:
        sentence = f"{', '.join(grave)}, at epoch {examined.epoch}{_at_end(examined)}"
        return Gate("diagnosis", Outcome.FAILED, sentence, numbers)
    told = f"nothing that blocks ({', '.join(found)})" if found else "no fault found"
    return Gate("diagnosis", Outcome.PASSED, f"{told} at epoch {examined.epoch}{_at_end(examined)}", numbers)


def dead_units(share: float, limit: float) -> Gate:
    """At most `limit` of the code's units are constant on the test samples."""
    outcome = Outcome.PASSED if share <= limit else Outcome.FAILED
    sentence = f"{share:.1%} of the code's units never change; up to {limit:.1%} may"
    return Gate("dead units", outcome, sentence, {"share": share, "limit": limit})


def reloaded(difference: float) -> Gate:
    """The reloaded model answers as the trained one does; `difference` is relative to values above 1."""
    outcome = Outcome.PASSED if difference <= TOLERANCE else Outcome.FAILED  # NaN fails: it compares with nothing
    sentence = f"the reloaded model differs from the trained one by {difference:.2g}; up to {TOLERANCE:g} may be"
    return Gate("reloaded", outcome, sentence, {"difference": difference, "limit": TOLERANCE})


def size(n_bytes: int, limit_mb: float) -> Gate:
    """All files of the packaged model together, in megabytes of 10⁶ bytes."""
    megabytes = n_bytes / _KILOBYTE**2
    outcome = Outcome.PASSED if megabytes <= limit_mb else Outcome.FAILED
    sentence = f"{megabytes:.3g} MB; up to {limit_mb:g} MB may be"
    return Gate("size", outcome, sentence, {"bytes": n_bytes, "limit": limit_mb * _KILOBYTE**2})


def latency(milliseconds: float, limit_ms: float) -> Gate:
    """What one sample takes on this machine."""
    outcome = Outcome.PASSED if milliseconds <= limit_ms else Outcome.FAILED
    sentence = f"{milliseconds:.3g} ms for one sample, on this machine; up to {limit_ms:g} ms may be"
    return Gate("latency", outcome, sentence, {"milliseconds": milliseconds, "limit": limit_ms})


def seeds(gates: Sequence[Gate], *, seed: int, losses: Sequence[float], n_asked: int) -> Gate:
    """The median of the seeds that the point was trained again with passes `gates`, those of that seed alone."""
    numbers: dict[str, float] = {"seed": seed, "seeds": len(losses)}
    if losses:
        numbers |= {"best": min(losses), "worst": max(losses)}
    if len(losses) < n_asked:
        sentence = f"only {len(losses)} of {n_asked} seeds came to an end"
        return Gate("seeds", Outcome.FAILED, sentence, numbers)
    shut = closed(gates)
    if shut:
        told = "; ".join(f"{gate.name}: {gate.sentence}" for gate in shut)
        outcome = Outcome.TIE if all(gate.outcome is Outcome.TIE for gate in shut) else Outcome.FAILED
        return Gate("seeds", outcome, f"seed {seed}, the median of {len(losses)}, does not pass: {told}", numbers)
    sentence = f"seed {seed}, the median of {len(losses)}, passes; losses from {min(losses):.4g} to {max(losses):.4g}"
    return Gate("seeds", Outcome.PASSED, sentence, numbers)


def _at_end(examined: Examined) -> str:
    """What the end of a training showed, where that was a later network than the one that won."""
    if examined.at_end is None or examined.last_epoch == examined.epoch:
        return ""
    return f"; at the training's end, epoch {examined.last_epoch}: {', '.join(examined.at_end) or 'no fault found'}"


def _short(value: str | None) -> str:
    if value is None:
        return "unknown"
    return value if len(value) < 32 else f"{value[:12]}…"
