"""From the names of published experiments to verdicts: run what is asked for, or judge what has run already."""

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
from sweeps.experiments.claims import Claim, Row, Setup, Verdict
from sweeps.experiments.trained_sweep import FinishedSweep
from sweeps.tracking.journal.records import SweepState
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SOME_TRIALS_FAILED, SweepResult, load_all

CLAIMS = (*blobs.CLAIMS, *identity.CLAIMS, *deep.CLAIMS, *numpy_2x2.CLAIMS, *denoising.CLAIMS)
# What a sweep is called, and where and how fast it runs, changes no number.
_NO_MATTER = ("name", "description", "experiment", "resources")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """The table of verdicts; `failures` holds a line for each sweep that failed or claim that could not be judged."""

    rows: tuple[Row, ...]
    failures: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def exit_status(self) -> int:
        """0 where every claim with a target is reached, 3 where some are not, 1 where a sweep failed."""
        if self.interrupted:
            return 130
        if self.failures:
            return 1
        fine = (Verdict.REACHED, Verdict.NO_TARGET)
        return 0 if all(row.verdict in fine for row in self.rows) else SOME_TRIALS_FAILED

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {"rows": [row.to_dict() for row in self.rows], "failures": list(self.failures)}


def names(claims: Iterable[Claim] = CLAIMS) -> list[str]:
    """The recipes that claims are judged by, in the order of the claims."""
    return list(dict.fromkeys(setup.recipe for claim in claims for setup in claim.setups))


def select(asked: Sequence[str], claims: Sequence[Claim] = CLAIMS) -> list[Claim]:
    """The claims in which a recipe of these names has a part; all of them where none is asked for.

    Raises ConfigError with the closest name for one that is not there.
    """
    known = names(claims)
    issues = [
        f"{name!r} must be a published experiment: one of {', '.join(known)}.{did_you_mean(closest(name, known))}"
        for name in asked
        if name not in known
    ]
    if issues:
        raise ConfigError(issues)
    return [claim for claim in claims if not asked or any(setup.recipe in asked for setup in claim.setups)]


def judge(claims: Sequence[Claim]) -> Report:
    """Verdicts from the newest finished sweep of each recipe whose settings have not changed since."""
    known = [result for result in load_all()[0] if result.record.state is SweepState.FINISHED]
    found = {setup: _newest(setup.config(), known) for setup in _setups(claims)}
    return _report(claims, {setup: FinishedSweep(result) for setup, result in found.items() if result is not None})


def reproduce(
    claims: Sequence[Claim],
    *,
    offline: bool = False,
    watch: Callable[[Progress], None] | None = None,
    tell: Tell = lambda _: None,
) -> Report:
    """Run the sweeps of these claims one after the other, each recorded like any other, and judge what they leave.

    A sweep that fails, or that lacks its data or its tracking server, leaves its claims not measured, and the next one
    runs. `tell` is given a line after each. Raises InputError where none could begin.
    """
    configs = {setup: setup.config() for setup in _setups(claims)}  # every issue of a recipe before the first hour
    finished: dict[Setup, FinishedSweep] = {}
    failures: list[str] = []
    refused: list[str] = []
    with session.connect(os.environ.get("RAY_ADDRESS")):  # one start of Ray for all
        for setup, config in configs.items():
            try:
                result = launch.run(config, offline=offline, watch=watch, started=time.time())
            except InputError as error:  # what this sweep asks for is not there: the next one may not ask for it
                refused += [f"{config.name}: {issue}" for issue in error.issues]
                continue
            except SweepError as error:
                failures.append(f"{config.name}: {error}")
                continue
            tell(f"{result.sweep} {result.record.state} after {result.seconds or 0:.0f} s")
            if result.record.state is SweepState.INTERRUPTED:
                return _report(claims, finished, refused + failures, interrupted=True)
            if result.record.state is SweepState.FAILED:
                failures.append(f"{result.sweep}: no trial finished (`sweeps status {result.sweep}` tells why)")
                continue
            finished[setup] = FinishedSweep(result)
    if refused and not finished and not failures:
        raise InputError(refused)
    return _report(claims, finished, refused + failures)


def _setups(claims: Iterable[Claim]) -> list[Setup]:
    return list(dict.fromkeys(setup for claim in claims for setup in claim.setups))


def _newest(config: SweepConfig, known: Sequence[SweepResult]) -> SweepResult | None:
    return next((result for result in known if _content(result.config) == _content(config)), None)


def _content(config: SweepConfig) -> dict[str, Any]:
    return {key: value for key, value in config.to_dict().items() if key not in _NO_MATTER}


def _report(
    claims: Sequence[Claim],
    finished: Mapping[Setup, FinishedSweep],
    failures: Iterable[str] = (),
    *,
    interrupted: bool = False,
) -> Report:
    rows, lines = [], list(failures)
    for claim in claims:
        try:
            rows.append(_row(claim, finished))
        except InputError as error:  # a network or a data set that is gone
            lines += [f"{claim.experiment}, {claim.what}: {issue}" for issue in error.issues]
            rows.append(_row(claim, {}))
    return Report(tuple(rows), tuple(lines), interrupted)


def _row(claim: Claim, finished: Mapping[Setup, FinishedSweep]) -> Row:
    sweeps = [finished[setup] for setup in claim.setups if setup in finished]
    complete = len(sweeps) == len(claim.setups)
    found = claim.judge(*sweeps) if complete else None
    return Row(
        experiment=claim.experiment,
        what=claim.what,
        published=claim.published,
        ours="" if found is None else found.ours,
        values=() if found is None else found.values,
        tolerance=claim.tolerance,
        verdict=Verdict.NOT_MEASURED if found is None else found.verdict,
        sweeps=tuple(sweep.result.sweep for sweep in sweeps) if complete else (),
        n_seeds=sweeps[0].n_seeds if complete else 0,
    )
