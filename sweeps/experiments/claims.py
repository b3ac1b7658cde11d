"""The claims of published experiments, our results, and the verdicts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sweeps.config import SweepConfig, load


class ClaimVerdict(StrEnum):
    """Whether a claim's published number was reached."""

    REACHED = "reached"
    MISSED = "missed"
    NO_TARGET = "no target"  # shown for comparison: the claim sets no tolerance
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class RecipeVariant:
    """A sweep that claims are judged by: a recipe as it ships, or a named variant of it with overrides."""

    recipe: str
    variant: str = ""
    overrides: tuple[str, ...] = ()

    def config(self) -> SweepConfig:
        """Return the sweep to run; a variant has its own name, in the MLflow experiment of its recipe."""
        names = (f"name={self.recipe}-{self.variant}", f"experiment={self.recipe}") if self.variant else ()
        return load(self.recipe, [*self.overrides, *names])


@dataclass(frozen=True)
class ClaimResult:
    """Our result in words, the numbers behind it, and whether it is within the tolerance (None: no target)."""

    ours: str
    values: tuple[float, ...]
    reached: bool | None

    @property
    def verdict(self) -> ClaimVerdict:
        """The verdict that follows."""
        if self.reached is None:
            return ClaimVerdict.NO_TARGET
        return ClaimVerdict.REACHED if self.reached else ClaimVerdict.MISSED


@dataclass(frozen=True)
class Claim:
    """A published number. `judge` takes one `TrainedSweep` per entry of `variants`, in order.

    The claim is listed under the recipe of the first.
    """

    what: str
    published: str
    tolerance: str
    variants: tuple[RecipeVariant, ...]
    judge: Callable[..., ClaimResult]

    @property
    def experiment(self) -> str:
        """The recipe that the claim is listed under."""
        return self.variants[0].recipe


@dataclass(frozen=True)
class ClaimRow:
    """A claim with its verdict: a row of the table.

    `sweeps` are the ids of the sweeps that it was judged by, `n_seeds` the number of seeds of the first.
    """

    experiment: str
    what: str
    published: str
    ours: str
    values: tuple[float, ...]
    tolerance: str
    verdict: ClaimVerdict
    sweeps: tuple[str, ...]
    n_seeds: int

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values; the NaN of a failed trial becomes None."""
        values = [value if math.isfinite(value) else None for value in self.values]
        return asdict(self) | {"verdict": str(self.verdict), "values": values}


def median(values: Sequence[float]) -> float:
    """Return the median; NaN if any value is, since a failed trial may lie on either side."""
    ordered = sorted(values)
    if not ordered or any(map(math.isnan, ordered)):
        return math.nan
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def counted(values: Sequence[float], holds: Callable[[float], bool], at_least: int, form: str = ".3g") -> ClaimResult:
    """Count the values for which `holds`; `form` formats the smallest and the largest in the text."""
    count = sum(map(holds, values))
    return ClaimResult(f"{count} of {len(values)}, {spread(values, form)}", tuple(values), count >= at_least)


def spread(values: Sequence[float], form: str = ".3g") -> str:
    """Return the smallest and the largest finite value as text, or the only one."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "no value"
    low, high = number(min(finite), form), number(max(finite), form)
    return low if low == high else f"{low} to {high}"


def number(value: float, form: str = ".3g") -> str:
    """Format a value for a table: 7.15e-6 for 7.15e-06, 0 for 0.0e+00."""
    if value == 0:
        return "0"
    mantissa, e, exponent = f"{value:{form}}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa
