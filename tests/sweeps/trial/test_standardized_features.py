"""A table of very different scales: diagnosed, and learned once the advice is followed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.config import SweepConfig
from sweeps.tracking.results import SweepResult
from sweeps.trial.dataset import load_dataset
from sweeps.trial.figure_references import save_references

pytestmark = pytest.mark.filterwarnings("ignore:(Found|You are using the) `dataloader_iter`")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """600 samples of 40 columns in float64, with scales from 1e-13 to 3e8 and six latent factors."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(600, 6)) @ rng.normal(size=(6, 40)) / np.sqrt(6)
    columns = latent + 0.1 * rng.normal(size=(600, 40)) + rng.normal(size=40)
    np.save(tmp_path / "table.npy", columns * rng.permutation(10.0 ** np.linspace(-13, 8.5, 40)))
    return tmp_path / "table.npy"


def test_the_scales_are_found_and_following_the_advice_cures(
    table: Path, small_sweep: Callable[..., SweepConfig], run_here: Callable[[SweepConfig], SweepResult]
) -> None:
    model: dict[str, Any] = {"name": "shallow", "hidden_size": 8, "activation": "elu", "noise": {"level": 0.1}}
    sections = {
        "data": {"name": "array", "path": str(table)},
        "training": {"epochs": 40, "batch_size": 32, "learning_rate": 0.01, "probe_samples": 0},
    }
    before = run_here(small_sweep(model=model, **sections)).best
    after = run_here(small_sweep(model=model | {"standardize": "feature"}, **sections)).best
    assert before is not None
    assert after is not None

    (finding,) = before.diagnosis or ()
    assert finding["name"] == "features of very different scales"
    assert finding["change"] == {"model.standardize": "feature"}
    assert before.metrics["valid/mse"] > 1e6
    assert "features of very different scales" not in [found["name"] for found in after.diagnosis or ()]
    assert after.metrics["valid/r2"] > 0.7, "far better than the mean predictor, which has 0"
    assert after.metrics["valid/mse"] < 0.3


def test_figures_compare_with_no_pca_of_other_units(
    tmp_path: Path, table: Path, small_sweep: Callable[..., SweepConfig]
) -> None:
    data, sizes = {"name": "array", "path": str(table)}, {}
    for standardize in ("none", "feature"):
        config = small_sweep(data=data, model={"name": "shallow", "hidden_size": 2, "standardize": standardize})
        save_references(tmp_path / "references.npz", config, load_dataset(config))
        with np.load(tmp_path / "references.npz") as saved:
            sizes[standardize] = saved["components"].shape[1], "codes" in saved
    assert sizes == {"none": (2, True), "feature": (0, False)}
