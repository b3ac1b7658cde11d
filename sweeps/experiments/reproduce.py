"""Run published experiments, or find the sweeps that have run already, and judge their claims."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps import launch
from sweeps.cluster import session
from sweeps.config import SweepConfig
from sweeps.config.issues import closest, did_you_mean
from sweeps.errors import ConfigError, InputError, SweepError
from sweeps.experiments import blobs, deep, denoising, identity, numpy_2x2
from sweeps.experiments.claims import Claim, ClaimRow, ClaimVerdict, RecipeVariant
from sweeps.experiments.trained_sweep import TrainedSweep
from sweeps.tracking.all_results import load_all
from sweeps.tracking.journal.records import SweepState
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SOME_TRIALS_FAILED, SweepResult

CLAIMS = (*blobs.CLAIMS, *identity.CLAIMS, *deep.CLAIMS, *numpy_2x2.CLAIMS, *denoising.CLAIMS)
# Settings that do not affect results.
_IRRELEVANT = ("name", "description", "experiment", "resources")

Log = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """The table of verdicts; `failures` holds a line for each failed sweep and each claim that could not be judged."""

    rows: tuple[ClaimRow, ...]
    failures: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def exit_status(self) -> int:
        """0 if every claim with a target is reached, 3 if some are not, 1 if a sweep failed, 130 if interrupted."""
        if self.interrupted:
            return 130
        if self.failures:
            return 1
        successes = (ClaimVerdict.REACHED, ClaimVerdict.NO_TARGET)
        return 0 if all(row.verdict in successes for row in self.rows) else SOME_TRIALS_FAILED

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {"rows": [row.to_dict() for row in self.rows], "failures": list(self.failures)}


def names(claims: Iterable[Claim] = CLAIMS) -> list[str]:
    """Return the recipes that claims are judged by, in the order of the claims."""
    return list(dict.fromkeys(variant.recipe for claim in claims for variant in claim.variants))


def select(recipes: Sequence[str], claims: Sequence[Claim] = CLAIMS) -> list[Claim]:
    """Return the claims that are judged by any of these recipes; without recipes, all claims.

    Raises ConfigError for an unknown recipe, with the closest known one.
    """
    known = names(claims)
    issues = [
        f"{name!r} must be a published experiment: one of {', '.join(known)}.{did_you_mean(closest(name, known))}"
        for name in recipes
        if name not in known
    ]
    if issues:
        raise ConfigError(issues)
    return [claim for claim in claims if not recipes or any(variant.recipe in recipes for variant in claim.variants)]


def judge(claims: Sequence[Claim]) -> Report:
    """Judge claims by the newest finished sweep of each recipe with the same settings as today."""
    known = [result for result in load_all()[0] if result.record.state is SweepState.FINISHED]
    found = {variant: _newest(variant.config(), known) for variant in _variants(claims)}
    return _report(claims, {variant: TrainedSweep(result) for variant, result in found.items() if result is not None})


def reproduce(
    claims: Sequence[Claim],
    *,
    offline: bool = False,
    watch: Callable[[Progress], None] | None = None,
    log: Log = lambda _: None,
) -> Report:
    """Run the sweeps of these claims one after another, recorded like any sweep, and judge the claims.

    If a sweep fails, or its data or tracking server is missing, its claims are not measured and the next sweep runs.
    `log` is called with a line after each. Raises InputError if none could start.
    """
    # Load every config first: an error in the last one shows before the first sweep runs.
    configs = {variant: variant.config() for variant in _variants(claims)}
    finished: dict[RecipeVariant, TrainedSweep] = {}
    failures: list[str] = []
    refused: list[str] = []
    with session.connect(os.environ.get("RAY_ADDRESS")):  # start Ray once for all
        for variant, config in configs.items():
            try:
                result = launch.run(config, offline=offline, watch=watch, started=time.time())
            except InputError as error:  # data or tracker missing; the next sweep may not need it
                refused += [f"{config.name}: {issue}" for issue in error.issues]
                continue
            except SweepError as error:
                failures.append(f"{config.name}: {error}")
                continue
            log(f"{result.sweep} {result.record.state} after {result.seconds or 0:.0f} s")
            if result.record.state is SweepState.INTERRUPTED:
                return _report(claims, finished, refused + failures, interrupted=True)
            if result.record.state is SweepState.FAILED:
                failures.append(f"{result.sweep}: no trial finished (`sweeps status {result.sweep}` shows the reason)")
                continue
            finished[variant] = TrainedSweep(result)
    if refused and not finished and not failures:
        raise InputError(refused)
    return _report(claims, finished, refused + failures)


def _variants(claims: Iterable[Claim]) -> list[RecipeVariant]:
    return list(dict.fromkeys(variant for claim in claims for variant in claim.variants))


def _newest(config: SweepConfig, known: Sequence[SweepResult]) -> SweepResult | None:
    return next((result for result in known if _content(result.config) == _content(config)), None)


def _content(config: SweepConfig) -> dict[str, Any]:
    return {key: value for key, value in config.to_dict().items() if key not in _IRRELEVANT}


def _report(
    claims: Sequence[Claim],
    finished: Mapping[RecipeVariant, TrainedSweep],
    failures: Iterable[str] = (),
    *,
    interrupted: bool = False,
) -> Report:
    rows, lines = [], list(failures)
    for claim in claims:
        try:
            rows.append(_row(claim, finished))
        except InputError as error:  # a network or a data set is missing
            lines += [f"{claim.experiment}, {claim.what}: {issue}" for issue in error.issues]
            rows.append(_row(claim, {}))
    return Report(tuple(rows), tuple(lines), interrupted)


def _row(claim: Claim, finished: Mapping[RecipeVariant, TrainedSweep]) -> ClaimRow:
    sweeps = [finished[variant] for variant in claim.variants if variant in finished]
    complete = len(sweeps) == len(claim.variants)
    result = claim.judge(*sweeps) if complete else None
    return ClaimRow(
        experiment=claim.experiment,
        what=claim.what,
        published=claim.published,
        ours="" if result is None else result.ours,
        values=() if result is None else result.values,
        tolerance=claim.tolerance,
        verdict=ClaimVerdict.NOT_MEASURED if result is None else result.verdict,
        sweeps=tuple(sweep.result.sweep for sweep in sweeps) if complete else (),
        n_seeds=sweeps[0].n_seeds if complete else 0,
    )
