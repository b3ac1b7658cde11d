"""What the MLflow UI shows of a run: its name, parameters and tags, and the summary of the sweep."""

import json
import platform
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from sweeps.config.search_space import Choices, Interval, SearchSpace, corners
from sweeps.models.diagnosis.findings import serious_names, severity_of
from sweeps.tracking.journal.records import PointRecord, PointState, SweepRecord
from sweeps.tracking.person import os_user

SWEEP_TAG = "sweeps.sweep"
POINT_TAG = "sweeps.trial"
REASON_TAG = "sweeps.reason"
# The role of a sweep's parent run, by which a store can be searched for sweeps.
ROLE_TAG, SWEEP_ROLE = "sweeps.role", "sweep"
# What decides a trial's rank, and the rank itself: four digits, so that MLflow sorts by it.
RANK_TAG = "sweeps.rank"
BEST_EPOCH_TAG = "sweeps.best_epoch"
EPOCHS_TAG = "sweeps.epochs"
# The parent run's tag: the trial that ranks first.
BEST_TRIAL_TAG = "sweeps.best_trial"
# Metrics at the epoch by which a trial is ranked; in the parent run, those of the best trial so far.
BEST_PREFIX = "best/"
OWNER_TAG = "mlflow.user"
# The description of a run or an experiment, in Markdown.
NOTE_TAG = "mlflow.note.content"
DIAGNOSIS_TAG = "sweeps.diagnosis"
NO_FINDINGS = "no findings"
ONLY_NOTES = "only notes"

_ALIASES = {
    "model.name": "model",
    "model.hidden_size": "h",
    "model.hidden_sizes": "h",
    "model.code_size": "code",
    "model.weight_l1": "l1",
    "model.weight_l2": "l2",
    "model.hidden_l1": "hl1",
    "model.noise.level": "noise",
    "model.noise.kind": "noise_kind",
    "model.activation": "act",
    "model.tied_weights": "tied",
    "training.learning_rate": "lr",
    "training.batch_size": "batch",
    "data.name": "data",
}
PACKAGE = "autoencoder-sweeps"
_PACKAGES = (PACKAGE, "mlflow", "numpy", "optuna", "pytorch-lightning", "ray", "scikit-learn", "torch")
_GIT_SECONDS = 5
_ROWS = 20


def run_name(point_id: str, point: Mapping[str, Any], search: SearchSpace) -> str:
    """Return a run's name, the point's id and its values: `0007 h=64 l1=1e-4 noise=0.3`.

    Settings of which the search space has a single value come last: the MLflow UI cuts long names off.
    """
    varied_first = sorted(point, key=lambda path: path in search and not _varies(search[path]))
    values = (f"{label}={_short(point[path])}" for path, label in _labels(varied_first).items())
    return " ".join([point_id, *values])


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
    sweep: SweepRecord, points: Sequence[PointRecord], ranking: Sequence[Ranked], objectives: Sequence[str]
) -> str:
    """Summarise a sweep in Markdown for its parent run: counts, the best trials first, failures with reasons.

    Links have the form `[name](run:POINT)`; delivery completes them.
    """
    parts = [sweep.description, _outcome(points), _table(ranking, objectives), _failures(points)]
    return "\n\n".join(part for part in parts if part)


def _varies(values: Interval | Choices) -> bool:
    first, *others = corners(values)
    return any(value != first for value in others)


def _labels(paths: Sequence[str]) -> dict[str, str]:
    """Label each path by its alias or last part; equal labels get more of their last parts."""
    labels = {path: _ALIASES.get(path, path.rpartition(".")[2]) for path in paths}
    n_parts = 1
    while len(set(labels.values())) < len(paths):
        n_parts += 1
        counts = Counter(labels.values())
        alike = [path for path in paths if counts[labels[path]] > 1]
        labels |= {path: ".".join(path.split(".")[-n_parts:]) for path in alike}
    return labels


def _short(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(_short, value))
    if not isinstance(value, float):
        return str(value)
    if value == 0 or 0.01 <= abs(value) < 10_000:
        return f"{value:.3g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}" if exponent else mantissa


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


def _outcome(points: Sequence[PointRecord]) -> str:
    counts = {state: sum(point.state == state for point in points) for state in PointState}
    states = ", ".join(f"{count} {state.lower()}" for state, count in counts.items() if count)
    return f"**{len(points)} trials**: {states}." if points else "No trial has started."


def _table(ranking: Sequence[Ranked], objectives: Sequence[str]) -> str:
    if not ranking:
        return ""
    others = [name for name in ("valid/mse", "valid/r2") if name not in objectives]
    columns = [*objectives, *(name for name in others if any(name in ranked.metrics for ranked in ranking))]
    rows = [f"| | trial | epoch | {' | '.join(columns)} |", f"|{'---|' * (len(columns) + 3)}"]
    for place, ranked in enumerate(ranking[:_ROWS], start=1):
        values = [f"{ranked.metrics[name]:.4g}" if name in ranked.metrics else "" for name in columns]
        rows.append(f"| {place} | [{ranked.run_name}](run:{ranked.trial}) | {ranked.epoch} | {' | '.join(values)} |")
    if len(ranking) > _ROWS:
        rows.append(f"\n{len(ranking) - _ROWS} more trials are ranked below these.")
    return "\n".join(rows)


def _failures(points: Sequence[PointRecord]) -> str:
    lost = [point for point in points if point.state in (PointState.FAILED, PointState.KILLED)]
    lines = [f"- [{p.run_name}](run:{p.point_id}) {p.state.lower()}: {p.reason or 'no reason given'}" for p in lost]
    if len(lines) > _ROWS:
        lines[_ROWS:] = [f"- and {len(lines) - _ROWS} more"]
    return "\n".join(["Trials without a result:", "", *lines]) if lines else ""
