import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from sweeps.config.search_space import parse_range
from sweeps.tracking.journal.records import PointRecord, PointState, SweepRecord
from sweeps.tracking.mlflow.run_metadata import (
    dataset_fields,
    diagnosis_names,
    diagnosis_text,
    environment_tags,
    flatten,
    ranking_description,
    run_name,
)
from sweeps.tracking.person import os_user

SWEEP = SweepRecord(sweep_id="s", name="n", experiment="e", config={}, start_ms=0, description="Penalties compared.")


@dataclass(frozen=True)
class Trial:
    trial: str
    run_name: str
    epoch: int
    metrics: Mapping[str, float]


def ended(point_id: str, state: PointState, reason: str | None = None) -> PointRecord:
    return PointRecord(point_id, 0, {}, f"name of {point_id}", 0, state=state, reason=reason)


def test_run_is_named_by_what_differs() -> None:
    point = {"model.hidden_size": 64, "model.weight_l1": 1e-4, "model.noise.level": 0.3}
    assert run_name("0007", point, {}) == "0007 h=64 l1=1e-4 noise=0.3"
    assert run_name("0000", {}, {}) == "0000"


def test_settings_that_differ_come_first_in_a_name() -> None:
    ranges = {
        "model.activation": {"choice": ["relu"]},
        "training.seed": {"grid": [3]},
        "model.hidden_size": {"int": [8, 64]},
    }
    search = {path: parse_range(values) for path, values in ranges.items()}
    point = {"model.activation": "relu", "training.seed": 3, "model.hidden_size": 9}
    assert run_name("0001", point, search) == "0001 h=9 act=relu seed=3"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (0.00123456, "1.23e-3"),
        (-2.5e-7, "-2.5e-7"),
        (12345.0, "1.23e4"),
        (100.0, "100"),
        (1.0, "1"),
        (True, "true"),
        (None, "none"),
        ((512, 128), "512,128"),
        ([0.1, 1e-3], "0.1,1e-3"),
        ("tanh", "tanh"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_value_is_short_in_a_name(value: object, shown: str) -> None:
    assert run_name("0001", {"model.hidden_size": value}, {}) == f"0001 h={shown}"


def test_unknown_path_is_named_by_its_last_part() -> None:
    assert run_name("0001", {"training.momentum": 0.9}, {}) == "0001 momentum=0.9"


def test_paths_with_the_same_last_part_get_different_labels() -> None:
    point = {"training.seed": 1, "data.seed": 2, "model.pretraining.epochs": 3, "training.epochs": 4}
    assert run_name("0001", point, {}) == "0001 training.seed=1 data.seed=2 pretraining.epochs=3 training.epochs=4"


def test_settings_become_flat_parameters() -> None:
    settings = {"model": {"name": "deep", "hidden_sizes": [512, 128], "noise": {"level": 0.3}}, "n": None, "x": {}}
    assert flatten(settings) == {
        "model.name": "deep",
        "model.hidden_sizes": "[512, 128]",
        "model.noise.level": "0.3",
        "n": "null",
        "x": "{}",
    }


def test_environment_has_the_user_and_the_versions_of_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ceo")
    environment_tags.cache_clear()
    tags = environment_tags()
    assert tags["mlflow.user"] == os_user()
    assert tags["sweeps.version.python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"sweeps.version.torch", "sweeps.version.ray", "sweeps.host", "mlflow.user"} <= tags.keys()


def test_environment_has_the_commit_of_the_source() -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    assert environment_tags().get("mlflow.source.git.commit", head) == head


def test_datasets_that_differ_in_their_splits_have_different_digests() -> None:
    one, other = ({"name": "digits", "checksum": "c", "seed": seed} for seed in (0, 1))
    assert dataset_fields(one)["name"] == "digits"
    assert dataset_fields(one)["digest"] != dataset_fields(other)["digest"]
    assert dataset_fields(one) == dataset_fields(dict(reversed(one.items())))


def test_description_ranks_the_trials_and_links_to_them() -> None:
    points = [ended("a", PointState.FINISHED), ended("b", PointState.FINISHED)]
    ranking = [
        Trial("b", "h=64", 7, {"valid/probe_error": 0.04, "valid/mse": 0.012345}),
        Trial("a", "h=32", 9, {"valid/probe_error": 0.05}),
    ]
    text = ranking_description(SWEEP, points, ranking, ["valid/probe_error"])
    assert text.startswith("Penalties compared.\n\n**2 trials**: 2 finished.")
    assert "| 1 | [h=64](run:b) | 7 | 0.04 | 0.01234 |" in text or "| 1 | [h=64](run:b) | 7 | 0.04 | 0.01235 |" in text
    assert "| 2 | [h=32](run:a) | 9 | 0.05 |  |" in text


def test_description_says_why_trials_have_no_result() -> None:
    points = [ended("a", PointState.FINISHED), ended("b", PointState.FAILED, "train/loss is nan at epoch 3")]
    text = ranking_description(SWEEP, points, [], ["valid/mse"])
    assert "**2 trials**: 1 finished, 1 failed." in text
    assert "- [name of b](run:b) failed: train/loss is nan at epoch 3" in text


def test_description_of_a_thousand_trials_stays_within_a_tag() -> None:
    points = [ended(f"p{i}", PointState.FAILED, "x" * 150) for i in range(1000)]
    ranking = [Trial(f"p{i}", "h=64 l1=1e-4 noise=0.3", 7, {"valid/mse": 0.01}) for i in range(1000)]
    text = ranking_description(SWEEP, points, ranking, ["valid/mse"])
    assert len(text) < 8000  # MLflow cuts longer tags.
    assert "980 more trials are ranked below these." in text


def test_diagnosis_names_each_fault_once() -> None:
    dead = {"name": "dead units", "evidence": {"share": 0.5, "layer": 1.0}, "advice": "Lower x."}
    twice = [{"name": "over-fitting", "evidence": {"rise": 1.2345}, "advice": "Lower y."}, dead, dead]
    assert diagnosis_names(twice) == "over-fitting, dead units"
    assert diagnosis_names([]) == "no findings"


def test_diagnosis_names_no_notes() -> None:
    note = {"name": "dead units", "severity": "note", "evidence": {}, "advice": "Lower x."}
    assert diagnosis_names([note]) == "only notes"
    assert diagnosis_names([note | {"severity": "warning"}, note]) == "dead units"
    stored_without_severity = {"name": "still improving when it stopped", "evidence": {}, "advice": "Lower x."}
    assert diagnosis_names([stored_without_severity]) == "only notes"


def test_diagnosis_is_written_out_with_evidence_and_advice() -> None:
    dead = {"name": "dead units", "evidence": {"share": 0.5123, "layer": 1.0}, "advice": "Lower x."}
    assert diagnosis_text([dead]) == "Dead units (warning)\n  share: 0.512\n  layer: 1\n  Advice: Lower x.\n"
    short = {"name": "worse than PCA of the same size", "evidence": {}, "advice": "Lower x."}
    assert diagnosis_text([short]).startswith("Worse than PCA of the same size (warning)\n")
    assert diagnosis_text([dead, dead]).count("\n\nDead units") == 1
    assert diagnosis_text([]) == "No findings.\n"
    pca = {"name": "worse than PCA of the same size", "severity": "note", "evidence": {}, "advice": "Lower x."}
    assert diagnosis_text([pca]).startswith("Worse than PCA of the same size (note)")
