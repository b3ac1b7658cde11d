"""The names of trials: the number of a trial, then its settings, those that differ first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from sweeps.config.search_space import Choices, Interval, SearchSpace, corners

# MLflow 3.17 shows about 40 characters in the list of a sweep's trials, and 19 in its table of runs.
MAX_CHARACTERS = 40
_CUT = "…"
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
# Significant digits of a value; in a run's name a sampled one has fewer, as many as fit.
_DIGITS, _SAMPLED_DIGITS = 3, (2, 1)


def run_name(point_id: str, point: Mapping[str, Any], search: SearchSpace) -> str:
    """Return a run's name, at most 40 characters: the point's id and its settings, `0007 h=64 l1=1e-4 noise=0.3`.

    Settings of which the search space has a single value come last. Settings that do not fit are left out, and "…"
    says so.
    """
    sampled = [path for path, values in search.items() if isinstance(values, Interval)]
    names = [[point_id, *_settings(point, search, dict.fromkeys(sampled, digits))] for digits in _SAMPLED_DIGITS]
    whole = (name for name in map(" ".join, names) if len(name) <= MAX_CHARACTERS)
    return next(whole, None) or _cut(names[0])


def full_label(point: Mapping[str, Any], search: SearchSpace) -> str:
    """Return all settings of a point: `h=64 l1=1.23e-4 noise=0.3`; "" if it has none."""
    return " ".join(_settings(point, search, {}))


def label_of(run_name: str, point_id: str, point: Mapping[str, Any]) -> str:
    """Return all settings of a point, for a text that shows its id already; the run's name if it has none."""
    return full_label(point, {}) or run_name.removeprefix(f"{point_id} ")


def _cut(parts: Sequence[str]) -> str:
    """Return as many parts as fit, and "…"."""
    lengths = accumulate(len(part) + 1 for part in parts)
    fitting = [part for part, length in zip(parts, lengths, strict=True) if length + len(_CUT) <= MAX_CHARACTERS]
    return " ".join([*fitting, _CUT])


def _settings(point: Mapping[str, Any], search: SearchSpace, digits: Mapping[str, int]) -> list[str]:
    varied_first = sorted(point, key=lambda path: path in search and not _varies(search[path]))
    labels = _labels(varied_first)
    return [f"{label}={_short(point[path], digits.get(path, _DIGITS))}" for path, label in labels.items()]


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


def _short(value: Any, digits: int) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(_short(part, digits) for part in value)
    if not isinstance(value, float):
        return str(value)
    if value == 0 or 0.01 <= abs(value) < 10_000:
        text = f"{value:.{digits}g}"
        return f"{value:.0f}" if "e" in text else text
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}" if exponent else mantissa
