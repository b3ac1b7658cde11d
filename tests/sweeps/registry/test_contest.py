"""The packaged model is measured on the test split, and compared with the trained network and the champion."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from challengers import STACK, TRAINING, first_promotion

from sweeps.evaluation import evaluate, load_best_network
from sweeps.registry import gates
from sweeps.registry.benchmark import Benchmark
from sweeps.registry.contest import Champion
from sweeps.registry.gates import GateResult, judge
from sweeps.registry.packaged_model import PackagedModel
from sweeps.registry.packaging import Package
from sweeps.registry.sample_losses import network_predictor, package_predictor
from sweeps.registry.significance import GateOutcome
from sweeps.tracking.results import SweepResult


def packaged(result: SweepResult, benchmark: Benchmark, folder: Path) -> PackagedModel:
    network = load_best_network(result, "0000")
    Package(network, benchmark.trial.model, benchmark.arrays.scale, benchmark.arrays.valid.inputs).save(
        folder / "package"
    )
    return PackagedModel.load(folder / "package")


def by_name(results: list[GateResult]) -> dict[str, GateResult]:
    return {result.name: result for result in results}


@pytest.mark.parametrize(
    "sections",
    [
        {"model": {"name": "shallow", "hidden_size": 8, "noise": {"level": 0.2}}},
        {"model": {"name": "linear", "standardize": "sample"}},
        {"model": {"name": "shallow", "hidden_size": 8, "noise": {"level": 0.2}, "standardize": "feature"}},
        {"model": STACK},
    ],
    ids=["noisy", "standardised samples", "standardised features", "classifier"],
)
def test_metrics_of_the_packaged_model_equal_those_of_the_network_on_the_test_split(
    run_one: Any, tmp_path: Path, sections: dict[str, Any]
) -> None:
    benchmark, result = run_one(**sections)
    model = packaged(result, benchmark, tmp_path)
    results = by_name(judge(first_promotion(benchmark, load_best_network(result, "0000"), model)))
    expected = evaluate(result).metrics
    assert dict(results["test metrics"].numbers) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert results["reloaded"].outcome is GateOutcome.PASSED
    assert results["size"].numbers["bytes"] == sum(f.stat().st_size for f in model.folder.rglob("*") if f.is_file())
    assert results["latency"].numbers["milliseconds"] > 0


def test_a_reloaded_model_with_other_outputs_fails(run_one: Any, tmp_path: Path) -> None:
    benchmark, result = run_one()
    model, network = packaged(result, benchmark, tmp_path), load_best_network(result, "0000")
    with torch.no_grad():
        next(network.parameters())[0, 20] += 1e-3  # a pixel that is not always black
    result = by_name(judge(first_promotion(benchmark, network, model)))["reloaded"]
    assert result.outcome is GateOutcome.FAILED
    assert result.numbers["difference"] > 1e-5


@pytest.mark.parametrize("computed", ["packaged", "exported"])
@pytest.mark.parametrize(
    ("output", "change"), [("code", np.nan), ("reconstruction_error", 1e-3), ("class_probabilities", 1e-3)]
)
def test_every_output_of_the_reloaded_model_is_compared_with_the_trained_one(
    classifier: tuple[Benchmark, SweepResult, PackagedModel], output: str, change: float, computed: str
) -> None:
    benchmark, result, model = classifier
    network = load_best_network(result, "0000")

    def predict(samples: Any) -> Any:
        outputs = model.predict(samples)
        outputs[0, model.columns[output][0]] += change  # of one sample, which keeps its label
        return outputs

    changed = by_name(
        judge(replace(first_promotion(benchmark, network, model), **{computed: replace(model, predict=predict)}))
    )["reloaded"]
    assert changed.outcome is GateOutcome.FAILED
    assert changed.numbers["difference"] == pytest.approx(change, rel=0.1, nan_ok=True)


@pytest.fixture
def classifier(run_one: Any, tmp_path: Path) -> tuple[Benchmark, SweepResult, PackagedModel]:
    benchmark, result = run_one(model=STACK, training=TRAINING | {"probe_samples": 0})
    return benchmark, result, packaged(result, benchmark, tmp_path)


def test_a_classifier_is_judged_by_its_labels_and_its_reconstructions_do_not_count(
    run_one: Any, tmp_path: Path
) -> None:
    benchmark, result = run_one(model=STACK)
    network = load_best_network(result, "0000")
    model = packaged(result, benchmark, tmp_path)
    worse = load_best_network(result, "0000")
    with torch.no_grad():
        for parameter in worse.unrolled.decoder.parameters():  # type: ignore[attr-defined]
            parameter += 10.0  # its reconstructions are useless now
    same = replace(first_promotion(benchmark, worse), champion=Champion("1", {}, model))
    judgement = gates.champion(same)
    assert judgement is not None
    assert (judgement.outcome, judgement.numbers["difference"]) == (GateOutcome.TIE, 0.0)
    assert benchmark.losses(network_predictor(network)).mean() == pytest.approx(
        evaluate(result).metrics["test/classification_error"]
    )


def test_a_classifier_is_not_compared_with_a_champion_that_outputs_no_classes(run_one: Any, tmp_path: Path) -> None:
    plain, plain_result = run_one()
    benchmark, result = run_one(model=STACK)
    champion = Champion("4", {}, packaged(plain_result, plain, tmp_path))
    judgement = gates.champion(
        replace(first_promotion(benchmark, load_best_network(result, "0000")), champion=champion)
    )
    assert judgement is not None
    assert judgement.outcome is GateOutcome.FAILED
    assert "outputs no classes" in judgement.sentence


def test_the_package_and_the_network_have_the_same_losses(run_one: Any, tmp_path: Path) -> None:
    for loss in ("mse", "denoise_mse", "probe_error"):
        benchmark, result = run_one(
            model={"name": "shallow", "hidden_size": 8, "noise": {"level": 0.2}}, promotion={"compare": loss}
        )
        model = packaged(result, benchmark, tmp_path / loss)
        ours = benchmark.losses(package_predictor(model, benchmark.arrays.scale))
        theirs = benchmark.losses(network_predictor(load_best_network(result, "0000")))
        np.testing.assert_allclose(ours, theirs, atol=1e-5 if loss != "probe_error" else 0)
        assert ours.mean() == pytest.approx(evaluate(result).metrics[f"test/{loss}"], rel=1e-4)
