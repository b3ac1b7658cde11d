"""The tables of `diagnosis_cases`, written as .npy files: hidden causes bent into columns, and real measurements."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

N_COLUMNS = 24


def hidden_causes(path: Path, scales: NDArray[Any], offset: float = 0.0) -> Path:
    """Write 2,000 rows of columns with the deviations `scales` (24,): six hidden causes, bent, and a little noise.

    `offset` is the size of the columns' means, in units of their deviations.
    """
    random = np.random.default_rng(0)
    causes = random.normal(size=(2000, 6))
    columns = np.tanh(causes @ random.normal(size=(6, N_COLUMNS))) + 0.1 * random.normal(size=(2000, N_COLUMNS))
    standardized = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    return _write(path, scales * (standardized + offset * random.normal(size=N_COLUMNS)))


def spread_scales(lowest: float, highest: float, seed: int) -> NDArray[Any]:
    """Return one scale a column from `lowest` to `highest`, evenly spaced in their logarithms, in random order."""
    return np.random.default_rng(seed).permutation(np.geomspace(lowest, highest, N_COLUMNS))


def wine(path: Path) -> Path:
    """Write scikit-learn's wine measurements as they are: 178 rows, 13 columns with deviations from 0.1 to 300."""
    return _write(path, load_wine().data)


def breast_cancer(path: Path) -> Path:
    """Write scikit-learn's breast cancer data as they are: 569 rows, 30 columns with deviations from 0.003 to 600."""
    return _write(path, load_breast_cancer().data)


def bytes_of_digits(path: Path) -> Path:
    """Write scikit-learn's digits with pixels from 0 to 255, as image files have them: 1,797 rows, 64 columns."""
    return _write(path, load_digits().data / 16 * 255)


def _write(path: Path, rows: NDArray[Any]) -> Path:
    np.save(path, rows.astype(np.float32))
    return path
