"""What a published experiment claims, what we found, and the verdict."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sweeps.config import SweepConfig, load


class Verdict(StrEnum):
    """How a claim stands."""

    REACHED = "reached"
    MISSED = "missed"
    NO_TARGET = "no target"  # told for comparison: nothing was published that it could miss
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Setup:
    """One sweep that claims are judged by: a recipe as it ships, or a variant of it by overrides."""

    recipe: str
    variant: str = ""
    overrides: tuple[str, ...] = ()

    def config(self) -> SweepConfig:
        """The sweep to run; a variant has a name of its own, in the experiment of its recipe."""
        names = (f"name={self.recipe}-{self.variant}", f"experiment={self.recipe}") if self.variant else ()
        return load(self.recipe, [*self.overrides, *names])


@dataclass(frozen=True)
class Outcome:
    """What was found: in words, the numbers behind them, and whether that is within the tolerance (None: no target)."""

    ours: str
    values: tuple[float, ...]
    reached: bool | None

    @property
    def verdict(self) -> Verdict:
        """What follows from it."""
        if self.reached is None:
            return Verdict.NO_TARGET
        return Verdict.REACHED if self.reached else Verdict.MISSED


@dataclass(frozen=True)
class Claim:
    """One number of a write-up. `judge` takes a `FinishedSweep` for each of `setups`, in their order.

    A claim counts among those of the first recipe.
    """

    what: str
    published: str
    tolerance: str
    setups: tuple[Setup, ...]
    judge: Callable[..., Outcome]

    @property
    def experiment(self) -> str:
        """The recipe that it is about."""
        return self.setups[0].recipe


@dataclass(frozen=True)
class Row:
    """A claim with its verdict: a line of the table.

    `sweeps` are the ids of those it was judged by, `n_seeds` the seeds that the first of them was trained with.
    """

    experiment: str
    what: str
    published: str
    ours: str
    values: tuple[float, ...]
    tolerance: str
    verdict: Verdict
    sweeps: tuple[str, ...]
    n_seeds: int

    def to_dict(self) -> dict[str, Any]:
        """The row as plain values; JSON has no number for a trial that failed."""
        values = [value if math.isfinite(value) else None for value in self.values]
        return asdict(self) | {"verdict": str(self.verdict), "values": values}


def median(values: Sequence[float]) -> float:
    """The middle value; NaN where one is, since a trial that failed can stand on either side."""
    ordered = sorted(values)
    if not ordered or any(map(math.isnan, ordered)):
        return math.nan
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def counted(values: Sequence[float], holds: Callable[[float], bool], at_least: int, form: str = ".3g") -> Outcome:
    """Of how many trials something holds; `form` is that of the smallest and the largest value."""
    count = sum(map(holds, values))
    return Outcome(f"{count} of {len(values)}, {spread(values, form)}", tuple(values), count >= at_least)


def spread(values: Sequence[float], form: str = ".3g") -> str:
    """The smallest and the largest value, or the only one."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "no value"
    low, high = number(min(finite), form), number(max(finite), form)
    return low if low == high else f"{low} to {high}"


def number(value: float, form: str = ".3g") -> str:
    """A value as it is written in a table: 7.15e-6 for 7.15e-06, 0 for 0.0e+00."""
    if value == 0:
        return "0"
    mantissa, e, exponent = f"{value:{form}}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa
