import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from sweeps.tracking.journal.records import PointRecord, PointState, SweepRecord
from sweeps.tracking.mlflow.run_metadata import (
    dataset_fields,
    diagnosis_names,
    diagnosis_text,
    environment_tags,
    flatten,
    ranking_description,
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
    first, second, *_ = text.splitlines()
    assert first == "**Best: valid/probe_error 0.04** in [h=64](run:b); **2 trials**: 2 finished.  "
    assert second == "2nd: 0.05 in [h=32](run:a)"
    assert text.index("Penalties compared.") < text.index("| 1 |")
    assert "| 1 | [h=64](run:b) | 7 | 0.04 | 0.01234 |" in text or "| 1 | [h=64](run:b) | 7 | 0.04 | 0.01235 |" in text
    assert "| 2 | [h=32](run:a) | 9 | 0.05 |  |" in text


def test_description_begins_with_five_leaders_that_mlflow_shows_without_unfolding() -> None:
    points = [ended(f"p{i}", PointState.FINISHED) for i in range(7)]
    ranking = [Trial(f"p{i}", f"h={i}", 7, {"valid/mse": i / 10, "valid/r2": 1 - i / 10}) for i in range(7)]
    text = ranking_description(SWEEP, points, ranking, ["valid/mse", "valid/r2"])
    assert text.partition("\n\n")[0].split("  \n") == [
        "**First of the Pareto front: valid/mse 0, valid/r2 1** in [h=0](run:p0); **7 trials**: 7 finished.",
        "2nd: 0.1, 0.9 in [h=1](run:p1)",
        "3rd: 0.2, 0.8 in [h=2](run:p2)",
        "4th: 0.3, 0.7 in [h=3](run:p3)",
        "5th: 0.4, 0.6 in [h=4](run:p4)",
    ]


def test_description_without_a_ranking_begins_with_the_counts() -> None:
    text = ranking_description(SWEEP, [ended("a", PointState.FAILED, "is nan")], [], ["valid/mse"])
    assert text.startswith("**1 trials**: 1 failed.\n\nPenalties compared.\n\nTrials without a result:")


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
