"""Score files of samples with a packaged model: an array or a table in, outputs by name out."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.errors import InputError, UnknownModel
from sweeps.registry.alias_history import find_model_with_alias
from sweeps.registry.mlflow_registry import RegistryStore
from sweeps.registry.names import check_names
from sweeps.registry.packaged_model import PackagedModel, batches
from sweeps.registry.sample_files import check_target, read_samples, write_outputs
from sweeps.registry.version_files import NO_TRUST, Trust, check_sha256, load_version

_MAX_NAMED = 10


@dataclass(frozen=True)
class Scores:
    """What `score` wrote: the file, the number of samples, the shape of each output by name.

    `unscored` are the rows, counted from 0, whose outputs are all NaN: those with NaN or infinity in their input, or,
    where the model takes missing values, without any value; and `not_finite`, for which the network has no finite
    output.
    `unknown_categories` counts, by column of a table, the rows with a category that training did not see.
    `package_sha256` is the digest of the model's files, `is_checked` whether it was compared with a known one, and
    `notes` are lines about the model.
    """

    target: Path
    n_samples: int
    shapes: Mapping[str, tuple[int, ...]]
    unscored: tuple[int, ...] = ()
    not_finite: tuple[int, ...] = ()
    unknown_categories: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    package_sha256: str | None = None
    is_checked: bool = False

    @property
    def exit_status(self) -> int:
        """0, or 3 if some samples have no score."""
        return 3 if self.unscored else 0

    @property
    def issues(self) -> list[str]:
        """What to know of the model and what is wrong with the samples, one line for each kind."""
        issues = list(self.notes)
        issues += [
            f"{count} of {self.n_samples} samples have a category of column {name!r} that training did not see"
            for name, count in self.unknown_categories.items()
        ]
        unusable = sorted(set(self.unscored) - set(self.not_finite))
        if unusable:
            issues.append(
                f"{len(unusable)} of {self.n_samples} samples hold NaN, infinity or values beyond float32, or no value "
                f"at all, so their outputs are NaN: {_named(unusable)}"
            )
        if self.not_finite:
            issues.append(
                f"{len(self.not_finite)} of {self.n_samples} samples have no finite output, so all their outputs are "
                f"NaN: {_named(self.not_finite)}; their values are far from the training data, or the model is damaged"
            )
        return issues

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        return {
            "out": str(self.target),
            "samples": self.n_samples,
            "outputs": shapes,
            "unscored": len(self.unscored),
            "unscored_rows": list(self.unscored[:1000]),
            "unknown_categories": dict(self.unknown_categories),
            "package_sha256": self.package_sha256,
            "sha256_checked": self.is_checked,
        }


def score(model: PackagedModel, source: Path, target: Path, key: str | None = None) -> Scores:
    """Write the outputs for the samples in `source` to `target`.

    `source` is an .npy or .npz of numbers, samples first, then any shape, or a .csv, .parquet or .feather with a column
    for each feature; `key` names the array of an .npz. `target` gets the outputs by name (.npz), all columns in one
    array (.npy), or named columns (.csv, .parquet, .feather). Raises InputError if either file is not as described.
    """
    check_target(target, source)
    samples, unknown = read_samples(source, model, key)
    outputs = model.outputs(samples)
    unusable = _rows_without_score(samples, takes_missing=model.takes_missing)
    is_finite = np.all([np.isfinite(values).all(axis=1) for values in outputs.values()], axis=0)
    not_finite = np.setdiff1d(np.flatnonzero(~is_finite), unusable)
    unscored = np.union1d(unusable, not_finite)
    for values in outputs.values():
        values[unscored] = np.nan
    write_outputs(target, outputs, model.column_names)
    shapes = {name: values.shape for name, values in outputs.items()}
    return Scores(target, len(samples), shapes, tuple(unscored.tolist()), tuple(not_finite.tolist()), unknown)


def score_by_alias(
    store: RegistryStore, address: str, source: Path, target: Path, key: str | None = None, trust: Trust = NO_TRUST
) -> tuple[Scores, str]:
    """Score with the version at `address`, NAME@ALIAS. Returns the result of `score`, and the version.

    Raises InputError if the version's files do not have the SHA-256 that was recorded when they were promoted, or the
    trusted one, and for a plug-in network that may not be imported.
    """
    if trust.sha256 is not None:
        trust = replace(trust, sha256=check_sha256(trust.sha256))
    name, _, alias = address.partition("@")
    if not alias:
        raise InputError(f"the model must be named as NAME@ALIAS, for instance {name}@champion, not {address!r}")
    check_names(name, alias)
    check_target(target, source)
    number, notes = find_model_with_alias(store, name, alias).aliases[alias], list[str]()
    version = store.version(name, number)
    if version is None:
        raise UnknownModel(f"version {number} of {name}, which holds {alias}, was deleted: promote a trial")
    with tempfile.TemporaryDirectory(prefix="sweeps-score-") as folder:
        model = load_version(store, version, Path(folder) / "model", notes.append, trust)
        scores = score(model, source, target, key)
    return replace(scores, notes=tuple(notes), package_sha256=model.digest, is_checked=not notes), number


def _named(rows: Sequence[int]) -> str:
    """Name the first rows."""
    return f"rows {', '.join(map(str, rows[:_MAX_NAMED]))}{', ...' if len(rows) > _MAX_NAMED else ''}, counted from 0"


def _rows_without_score(samples: NDArray[Any], *, takes_missing: bool) -> NDArray[np.intp]:
    """Return the rows with infinity, with a value beyond float32, or with a missing value.

    If the model takes missing values, a row needs one value that is present.
    """
    if samples.dtype.kind != "f":
        return np.empty(0, np.intp)
    n_missing_allowed = samples.shape[1] - 1 if takes_missing else 0
    is_unusable = [
        np.isinf(batch).any(axis=1) | (np.isnan(batch).sum(axis=1) > n_missing_allowed) for batch in batches(samples)
    ]
    return np.flatnonzero(np.concatenate(is_unusable))
