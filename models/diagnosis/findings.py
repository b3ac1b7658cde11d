"""The findings of a diagnosis: their names, evidence and advice."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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


@dataclass(frozen=True)
class Finding:
    """One finding, the numbers that show it, and one sentence of advice that names the setting to change."""

    name: FindingName
    evidence: Mapping[str, float]
    advice: str

    def __str__(self) -> str:
        numbers = ", ".join(f"{name} {value:.3g}" for name, value in self.evidence.items())
        return f"{self.name} ({numbers}). {self.advice}"
