"""Objectives and gates that the data cannot give are refused before a sweep starts, with what would give them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays, Split
from sweeps.errors import DataError
from sweeps.models.metrics import References
from sweeps.trial.data_requirements import MIN_OF_A_CLASS, reference_issues, requirement_issues
from sweeps.trial.dataset import check_data, load_suitable

MakeSweep = Callable[..., SweepConfig]
PROBE = {"training": {"epochs": 1}, "objective": {"metric": "valid/probe_error"}}
N = 120


def inputs_of(n_samples: int = N) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (n_samples, 9)).astype(np.float32)


@pytest.fixture
def sweep_of(small_sweep: MakeSweep, tmp_path: Path) -> Callable[..., SweepConfig]:
    """A sweep on an .npz of these arrays; `data` and other sections come as keywords."""

    def make(arrays: dict[str, np.ndarray], data: dict[str, Any] | None = None, **sections: Any) -> SweepConfig:
        np.savez(tmp_path / "mine.npz", **arrays)
        section = {"name": "array", "path": str(tmp_path / "mine.npz")} | (data or {})
        return small_sweep(data=section, **(PROBE | sections))

    return make


def issues_of(config: SweepConfig) -> list[str]:
    with pytest.raises(DataError) as refusal:
        check_data(config)
    return list(refusal.value.issues)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_labels_under_another_key_are_named(small_sweep: MakeSweep, tmp_path: Path, save: Callable[..., None]) -> None:
    others = {"share": np.zeros(N), "few": np.arange(5), "pixels": inputs_of().astype(int)}
    save(tmp_path / "mine.npz", X=inputs_of(), y=np.arange(N) % 3, fold=np.arange(N, dtype=np.uint8), **others)
    data = {"name": "array", "path": str(tmp_path / "mine.npz"), "inputs_key": "X"}
    (issue,) = issues_of(small_sweep(data=data, **PROBE))
    assert issue.startswith("objective: valid/probe_error needs labels")
    assert issue.endswith("data.labels_key: the file also holds y, fold")
    check_data(small_sweep(data=data | {"labels_key": "y"}, **PROBE))


def test_without_an_array_that_could_hold_labels_both_settings_are_named(sweep_of: MakeSweep) -> None:
    (issue,) = issues_of(sweep_of({"inputs": inputs_of()}))
    assert "data.labels_key, or data.labels_path" in issue


def test_a_single_class_is_refused(sweep_of: MakeSweep) -> None:
    (issue,) = issues_of(sweep_of({"inputs": inputs_of(), "labels": np.zeros(N, int)}))
    assert "at least 2 classes" in issue
    assert "only class 0" in issue


def test_a_class_with_too_few_samples_for_the_probe_is_named(sweep_of: MakeSweep) -> None:
    labels = np.arange(N) % 2
    labels[7] = 2
    (issue,) = issues_of(sweep_of({"inputs": inputs_of(), "labels": labels}))
    assert "at least 2 training samples of each class" in issue
    assert " of class 2" in issue


def test_too_few_probe_samples_are_refused_with_the_setting_to_raise(sweep_of: MakeSweep) -> None:
    arrays = {"inputs": inputs_of(), "labels": np.arange(N) % 10}
    (issue,) = issues_of(sweep_of(arrays, training={"epochs": 1, "probe_samples": 10}))
    assert "raise training.probe_samples" in issue
    check_data(sweep_of(arrays))


def test_three_samples_are_refused_with_the_minimum(sweep_of: MakeSweep) -> None:
    sweep = sweep_of({"inputs": inputs_of(3)}, objective={"metric": "valid/mse"})
    (issue,) = issues_of(sweep)
    assert "at least 2 samples to train on and 2 to validate on" in issue
    assert "have 2 and 1" in issue
    check_data(sweep_of({"inputs": inputs_of(3)}, {"validate_on": "train"}, objective={"metric": "valid/mse"}))


def test_dead_units_need_two_samples(small_sweep: MakeSweep) -> None:
    objective = {"metric": "valid/dead_units"}
    (issue,) = issues_of(small_sweep(data={"name": "rows", "rows": [[0.0, 1.0]]}, objective=objective))
    assert "at least 2 samples" in issue
    check_data(small_sweep(data={"name": "rows", "rows": [[0.0, 1.0], [1.0, 0.0]]}, objective=objective))


@pytest.mark.parametrize("metric", ["valid/r2", "valid/mse_over_pca"])
def test_ratios_to_the_variance_need_samples_that_differ(sweep_of: MakeSweep, metric: str) -> None:
    (issue,) = issues_of(sweep_of({"inputs": np.full((N, 9), 0.3, np.float32)}, objective={"metric": metric}))
    assert "samples that differ" in issue


def test_the_ratio_to_pca_needs_a_bottleneck(sweep_of: MakeSweep) -> None:
    model = {"name": "shallow", "hidden_size": 9}
    sweep = sweep_of({"inputs": inputs_of()}, model=model, objective={"metric": "valid/mse_over_pca"})
    (issue,) = issues_of(sweep)
    assert "smaller than the 9 features" in issue


def test_the_ratio_to_an_exact_pca_is_refused(sweep_of: MakeSweep, small_sweep: MakeSweep) -> None:
    rank_two = np.outer(np.arange(N), np.ones(9)) + np.outer(np.cos(np.arange(N)), np.arange(9))
    sections = {"model": {"name": "shallow", "hidden_size": 2}, "objective": {"metric": "valid/mse_over_pca"}}
    (issue,) = issues_of(sweep_of({"inputs": rank_two.astype(np.float64)}, **sections))
    assert "2 components do" in issue
    assert reference_issues(small_sweep(), References(np.zeros(10))) == []  # its objective is another metric


def test_gates_that_need_test_samples_are_refused_without_them(small_sweep: MakeSweep) -> None:
    data = {"name": "digits", "n_test": 0}
    issues = issues_of(small_sweep(data=data, promotion={"compare": "mse", "max_dead_units": 0.1, "max_size_mb": 1}))
    assert [issue.split()[0] for issue in issues] == ["promotion.compare", "promotion.max_dead_units"]
    assert all("data.n_test" in issue for issue in issues)
    check_data(small_sweep(data=data))  # a sweep that is not to be promoted needs no test samples


def test_two_test_samples_are_enough_for_a_gate(small_sweep: MakeSweep) -> None:
    gates = {"max_dead_units": 0.1}
    check_data(small_sweep(data={"name": "digits", "n_test": 2}, promotion=gates))
    (issue,) = issues_of(small_sweep(data={"name": "digits", "n_test": 1}, promotion=gates))
    assert "at least 2 test samples to judge by, and digits has 1" in issue


def test_a_loss_on_labels_is_refused_without_them(sweep_of: MakeSweep) -> None:
    sections = {"objective": {"metric": "valid/mse"}, "promotion": {"compare": "probe_error"}}
    (issue,) = issues_of(sweep_of({"X": inputs_of(), "y": np.arange(N) % 2}, {"inputs_key": "X"}, **sections))
    assert issue.startswith("promotion.compare: probe_error needs labels")
    assert "the file also holds y" in issue


def test_all_objectives_are_checked_at_once(sweep_of: MakeSweep) -> None:
    objective = [{"metric": "valid/probe_error"}, {"metric": "valid/r2"}]
    assert len(issues_of(sweep_of({"inputs": np.ones((N, 9), np.float32)}, objective=objective))) == 2


def test_a_sweep_with_values_of_its_objective_is_not_refused(sweep_of: MakeSweep) -> None:
    labels = np.arange(N) % 2
    labels[7] = 2
    assert load_suitable(sweep_of({"inputs": inputs_of(), "labels": labels}), is_measured=True).n_classes == 3


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(train=st.lists(st.integers(0, 3), min_size=2, max_size=30), valid=st.lists(st.integers(0, 3), min_size=2))
def test_labels_are_accepted_exactly_if_the_probe_can_learn_each_class(
    small_sweep: MakeSweep, train: list[int], valid: list[int]
) -> None:
    def split(labels: list[int]) -> Split:
        return Split(inputs_of(len(labels)), np.asarray(labels, np.int64))

    arrays = DataArrays("drawn", split(train), split(valid), split([]), 1.0, None, 4, "", "valid", 0)
    learnable = all(train.count(label) >= MIN_OF_A_CLASS for label in {*train, *valid})
    can_err = len(set(train)) > 1 and len(set(valid)) > 1
    assert (not requirement_issues(small_sweep(**PROBE), arrays)) == (learnable and can_err)
