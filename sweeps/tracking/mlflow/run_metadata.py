"""What the MLflow UI shows of a run: its parameters and tags, and the summary of the sweep."""

import json
import platform
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from sweeps.models.diagnosis.findings import serious_names, severity_of
from sweeps.tracking.journal.records import PointRecord, PointState, SweepRecord
from sweeps.tracking.person import os_user

SWEEP_TAG = "sweeps.sweep"
POINT_TAG = "sweeps.trial"
# A trial's number without leading zeros, as a tag and as a parameter, and the first of the trials that train with it.
NUMBER_TAG, NUMBER_PARAM = "sweeps.number", "trial"
PACK_TAG = "sweeps.pack"
REASON_TAG = "sweeps.reason"
# The role of a sweep's parent run, by which a store can be searched for sweeps.
ROLE_TAG, SWEEP_ROLE = "sweeps.role", "sweep"
# What decides a trial's rank, and the rank itself: four digits, so that MLflow sorts by it.
RANK_TAG = "sweeps.rank"
# Whether the trial is a statistical tie with the best: "true" or "false"; no tag, or an empty one, where it is unknown.
TIE_TAG = "sweeps.tie"
BEST_EPOCH_TAG = "sweeps.best_epoch"
EPOCHS_TAG = "sweeps.epochs"
# The parent run's tag: the trial that ranks first.
BEST_TRIAL_TAG = "sweeps.best_trial"
# Metrics at the epoch by which a trial is ranked; in the parent run, those of the best trial so far.
BEST_PREFIX = "best/"
# Of the parent run: the best value of each objective that any trial has reached, and what each setting matters.
BEST_SO_FAR_PREFIX = "best_so_far/"
IMPORTANCE_PREFIX = "importance/"
OWNER_TAG = "mlflow.user"
# The description of a run or an experiment, in Markdown.
NOTE_TAG = "mlflow.note.content"
DIAGNOSIS_TAG = "sweeps.diagnosis"
NO_FINDINGS = "no findings"
ONLY_NOTES = "only notes"

PACKAGE = "autoencoder-sweeps"
_PACKAGES = (PACKAGE, "mlflow", "numpy", "optuna", "pytorch-lightning", "ray", "scikit-learn", "torch")
_GIT_SECONDS = 5
_ROWS = 20
# Of the trials after the best that a description names first.
_ORDINALS = ("2nd", "3rd", "4th", "5th")


def flatten(settings: Mapping[str, Any]) -> dict[str, str]:
    """Flatten nested settings to MLflow parameters: `{"model.noise.level": "0.3"}`."""
    return dict(_flattened(settings, ""))


@cache
def environment_tags() -> dict[str, str]:
    """Return tags for the environment of a sweep: host, user, git commit, package versions."""
    tags = {f"sweeps.version.{name}": version for name in _PACKAGES if (version := package_version(name))}
    tags |= {"sweeps.version.python": platform.python_version(), "sweeps.host": platform.node()}
    tags |= {"mlflow.source.type": "LOCAL", "mlflow.source.name": "sweeps", OWNER_TAG: os_user()}
    return tags | code_tags()


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Return the git commit of a folder, and whether files that git tracks have changed; None if that is not known."""
    commit = _git(folder, "rev-parse", "HEAD") or None
    # A repository can name a program as its file system monitor, which this does not run.
    changes = commit and _git(folder, "-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else bool(changes)


def code_tags() -> dict[str, str]:
    """Return tags for the git commit of this package; none if it is installed without its repository."""
    state = code_state(Path(__file__))
    return {} if state is None else {"mlflow.source.git.commit": state[0], "sweeps.git.dirty": str(state[1]).lower()}


def code_state(file: Path) -> tuple[str, bool] | None:
    """Return the commit of the repository that tracks a file, and whether it has changes; None if none tracks it."""
    if _git(file.parent, "ls-files", "--error-unmatch", file.name) is None:
        return None
    commit, is_dirty = git_state(file.parent)
    return None if commit is None else (commit, bool(is_dirty))


def package_version(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def dataset_fields(description: Mapping[str, Any]) -> dict[str, str]:
    """Return MLflow's data set fields from a `DataArrays.describe` description.

    The digest covers samples and splits: MLflow takes data sets of the same name and digest for one.
    """
    profile = json.dumps(description, sort_keys=True, default=str)
    name = str(description.get("name", "data"))
    digest = sha256(profile.encode()).hexdigest()[:8]
    source = json.dumps({"name": name, "checksum": description.get("checksum")})
    return {"name": name, "digest": digest, "source_type": "sweeps", "source": source, "profile": profile}


def diagnosis_names(diagnosis: Sequence[Mapping[str, Any]]) -> str:
    """Name the findings above a note in one line, each once, most severe first."""
    return ", ".join(serious_names(diagnosis)) or (ONLY_NOTES if diagnosis else NO_FINDINGS)


def diagnosis_text(diagnosis: Sequence[Mapping[str, Any]]) -> str:
    """Write out a diagnosis: for each finding its name, severity, evidence and advice."""
    return "\n".join(map(_finding_text, diagnosis)) or f"{NO_FINDINGS.capitalize()}.\n"


class Ranked(Protocol):
    """A trial at the epoch by which it is ranked."""

    @property
    def trial(self) -> str:
        """Return the point's id."""

    @property
    def run_name(self) -> str:
        """Return the run's name."""

    @property
    def epoch(self) -> int:
        """Return the ranked epoch."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Return the metrics of that epoch."""


def ranking_description(
    sweep: SweepRecord,
    points: Sequence[PointRecord],
    ranking: Sequence[Ranked],
    objectives: Sequence[str],
    tied: Collection[str] = (),
) -> str:
    """Summarise a sweep in Markdown for its parent run: the leaders, then its own description, all ranked, failures.

    MLflow 3.17 shows the first 100 pixels of a description, which are five lines without a gap between them. Links have
    the form `[name](run:POINT)`; delivery completes them. `tied` are the trials that tie with the best.
    """
    leaders, table = _leaders(ranking, objectives, points, tied), _table(ranking, objectives, tied)
    parts = [leaders, sweep.description, table, _failures(points)]
    return "\n\n".join(part for part in parts if part)


def _flattened(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flattened(part, f"{path}.{key}" if path else str(key))
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, default=str)


def _finding_text(finding: Mapping[str, Any]) -> str:
    evidence = "\n".join(f"  {name}: {value:.3g}" for name, value in finding["evidence"].items())
    name = finding["name"][:1].upper() + finding["name"][1:]
    return f"{name} ({severity_of(finding)})\n{evidence}\n  Advice: {finding['advice']}\n"


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _leaders(
    ranking: Sequence[Ranked], objectives: Sequence[str], points: Sequence[PointRecord], tied: Collection[str]
) -> str:
    """Name the leading trials, each in a line, the first with its objectives; only the counts if no trial is ranked."""
    if not ranking:
        return _outcome(points)
    values = [[f"{ranked.metrics[name]:.4g}" for name in objectives] for ranked in ranking[: len(_ORDINALS) + 1]]
    named = ", ".join(f"{name} {value}" for name, value in zip(objectives, values[0], strict=True))
    place = "Best" if len(objectives) == 1 else "First of the Pareto front"
    lines = [f"**{place}: {named}** in {_link(ranking[0])}; {_outcome(points)}"]
    others = zip(_ORDINALS, ranking[1:], values[1:], strict=False)
    lines += [
        f"{ordinal}{_tie(ranked, tied)}: {', '.join(value)} in {_link(ranked)}" for ordinal, ranked, value in others
    ]
    return "  \n".join(lines)  # two spaces: a line break in Markdown


def _tie(ranked: Ranked, tied: Collection[str]) -> str:
    return " (statistical tie)" if ranked.trial in tied else ""


def _link(ranked: Ranked) -> str:
    return f"[{ranked.run_name}](run:{ranked.trial})"


def _outcome(points: Sequence[PointRecord]) -> str:
    counts = {state: sum(point.state == state for point in points) for state in PointState}
    states = ", ".join(f"{count} {state.lower()}" for state, count in counts.items() if count)
    return f"**{len(points)} trials**: {states}." if points else "No trial has started."


def _table(ranking: Sequence[Ranked], objectives: Sequence[str], tied: Collection[str]) -> str:
    if not ranking:
        return ""
    others = [name for name in ("valid/mse", "valid/r2") if name not in objectives]
    columns = [*objectives, *(name for name in others if any(name in ranked.metrics for ranked in ranking))]
    rows = [f"| | trial | epoch | {' | '.join(columns)} |", f"|{'---|' * (len(columns) + 3)}"]
    for place, ranked in enumerate(ranking[:_ROWS], start=1):
        values = [f"{ranked.metrics[name]:.4g}" if name in ranked.metrics else "" for name in columns]
        mark = " tie" if ranked.trial in tied else ""
        rows.append(f"| {place}{mark} | {_link(ranked)} | {ranked.epoch} | {' | '.join(values)} |")
    if len(ranking) > _ROWS:
        rows.append(f"\n{len(ranking) - _ROWS} more trials are ranked below these.")
    return "\n".join(rows)


def _failures(points: Sequence[PointRecord]) -> str:
    lost = [point for point in points if point.state in (PointState.FAILED, PointState.KILLED)]
    lines = [f"- [{p.run_name}](run:{p.point_id}) {p.state.lower()}: {p.reason or 'no reason given'}" for p in lost]
    if len(lines) > _ROWS:
        lines[_ROWS:] = [f"- and {len(lines) - _ROWS} more"]
    return "\n".join(["Trials without a result:", "", *lines]) if lines else ""
