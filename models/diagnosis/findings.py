"""The findings of a diagnosis: their names, severity, evidence and advice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self


class Severity(StrEnum):
    """How serious a finding is: the network learned nothing, it is worse than it should be, or it is worth knowing."""

    FAILURE = "failure"
    WARNING = "warning"
    NOTE = "note"


class FindingName(StrEnum):
    """The name of a finding."""

    DIFFERENT_SCALES = "features of very different scales"
    LEARNING_RATE = "learning rate too high"
    HARDLY_VARIES = "no better than the mean: the features hardly vary"
    COLLAPSED = "collapsed to the mean"
    COLUMN_MEAN = "output is the column mean"
    HARDLY_TRAINED = "hardly trained: no better than the mean"
    PENALTY = "penalty dominates the loss"
    DEAD = "dead units"
    SATURATED = "saturated units"
    WORSE_THAN_PCA = "worse than PCA of the same size"
    COPIED = "identity copied"
    FOLLOWS_MEAN = "filters follow the data's mean"
    OVERFITTING = "over-fitting"
    STILL_IMPROVING = "still improving when it stopped"


_FAILURES = frozenset(
    {
        FindingName.DIFFERENT_SCALES,
        FindingName.LEARNING_RATE,
        FindingName.HARDLY_VARIES,
        FindingName.COLLAPSED,
        FindingName.COLUMN_MEAN,
        FindingName.HARDLY_TRAINED,
    }
)
# Of these, the code before severities existed reported the harmless ones too.
_NOTES_UNLESS_MARKED = frozenset({FindingName.STILL_IMPROVING, FindingName.SATURATED})


class Change(NamedTuple):
    """A setting to change: its dotted path, its value now (None if it is not known), and its new value."""

    path: str
    now: Any
    new: Any

    def __str__(self) -> str:
        if _is_number(self.now) and _is_number(self.new):
            return f"{'lower' if self.new < self.now else 'raise'} {self.path} from {self.now:.4g} to {self.new:.4g}"
        if self.now is None:
            return f"set {self.path} to {_shown(self.new)}"
        return f"set {self.path} to {_shown(self.new)} in place of {_shown(self.now)}"


@dataclass(frozen=True)
class Finding:
    """One finding, the numbers that show it, and the advice that follows from its `changes`.

    `changes` are made together. A `harmless` finding is a note whatever its name.
    """

    name: FindingName
    evidence: Mapping[str, float]
    advice: str
    changes: Sequence[Change] = ()
    harmless: bool = False

    @classmethod
    def advising(
        cls,
        name: FindingName,
        evidence: Mapping[str, float],
        changes: Sequence[Change],
        reason: str,
        *,
        harmless: bool = False,
    ) -> Self:
        """Return a finding whose advice is written from its changes, so that the two cannot differ."""
        clauses = [sentence(changes), reason] if changes else [reason[:1].upper() + reason[1:]]
        return cls(name, evidence, f"{': '.join(clauses)}.", tuple(changes), harmless)

    @property
    def severity(self) -> Severity:
        """How serious the finding is."""
        if self.harmless:
            return Severity.NOTE
        return Severity.FAILURE if self.name in _FAILURES else Severity.WARNING

    @property
    def change(self) -> dict[str, Any]:
        """The new value of each setting to change, by dotted path."""
        return {change.path: change.new for change in self.changes}

    def __str__(self) -> str:
        numbers = ", ".join(f"{name} {value:.3g}" for name, value in self.evidence.items())
        return f"{self.name} ({numbers}). {self.advice}"


def sentence(changes: Sequence[Change]) -> str:
    """Write changes as one clause that starts with a capital letter."""
    clause = " and ".join(map(str, changes))
    return clause[:1].upper() + clause[1:]


def severity_of(stored: Mapping[str, Any]) -> Severity:
    """Return the severity of a stored finding; one stored without it has that of its name."""
    if stored.get("severity"):
        return Severity(stored["severity"])
    if stored["name"] in _NOTES_UNLESS_MARKED:
        return Severity.NOTE
    return Severity.FAILURE if stored["name"] in _FAILURES else Severity.WARNING


def serious_names(stored: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the stored findings above a note, each once, in order."""
    return list(dict.fromkeys(finding["name"] for finding in stored if severity_of(finding) is not Severity.NOTE))


def with_severities(stored: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Return stored findings, each with its severity."""
    return None if stored is None else [{**finding, "severity": str(severity_of(finding))} for finding in stored]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)
