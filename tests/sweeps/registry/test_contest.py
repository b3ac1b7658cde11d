"""What a challenger is judged by: fresh numbers of the packaged model, against references that mean something."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sweeps.config import SweepConfig
from sweeps.evaluation import data_of, evaluate, load_best_network
from sweeps.models.diagnosis.findings import FindingName
from sweeps.registry.contest import Champion, Contest, data_identity, has_same_data, judge
from sweeps.registry.gates import Gate
from sweeps.registry.packaging import Package
from sweeps.registry.rediagnosis import Examined, examine
from sweeps.registry.reseeding import judge_seeds, seeds_sweep
from sweeps.registry.sample_losses import of_network, of_package, sample_losses
from sweeps.registry.scoring import PackagedModel
from sweeps.registry.significance import Outcome
from sweeps.tracking.results import SweepResult

MakeSweep = Callable[..., SweepConfig]
Run = Callable[[SweepConfig], SweepResult]
STACK = {
    "name": "stacked_denoising",
    "hidden_sizes": [40],
    "noise": {"level": 0.1},
    "pretraining": {"epochs": 1, "learning_rate": 0.01},
}
SOUND = Examined(2, 2, [], [])
TRAINING = {"epochs": 2, "learning_rate": 0.01, "batch_size": 32, "probe_samples": 400}


@pytest.fixture
def run_one(small_sweep: MakeSweep, run_here: Run) -> Callable[..., tuple[Contest, SweepResult]]:
    """Train one point on digits; give what it is judged by, and its result."""

    def run(**sections: Any) -> tuple[Contest, SweepResult]:
        config = small_sweep(**({"training": TRAINING} | sections))
        result = run_here(config)
        return Contest(config, config.trial, data_of(result)), result

    return run


@pytest.fixture
def contest_of(small_sweep: MakeSweep, digits_arrays: Any) -> Callable[..., Contest]:
    """What a point on digits is judged by, untrained."""

    def make(**sections: Any) -> Contest:
        config = small_sweep(**({"training": TRAINING} | sections))
        return Contest(config, config.trial, digits_arrays)

    return make


@pytest.fixture(scope="session")
def digits_arrays() -> Any:
    from sweeps.datamodules.build import load_arrays
    from sweeps.datamodules.config import DigitsConfig

    return load_arrays(DigitsConfig())


def packaged(result: SweepResult, contest: Contest, folder: Path) -> PackagedModel:
    network = load_best_network(result, "0000")
    Package(network, contest.arrays.scale, contest.arrays.valid.inputs).save(folder / "package")
    return PackagedModel.load(folder / "package")


def by_name(gates: list[Gate]) -> dict[str, Gate]:
    return {gate.name: gate for gate in gates}


@pytest.mark.parametrize(
    "sections",
    [
        {"model": {"name": "shallow", "hidden_size": 8, "noise": {"level": 0.2}}},
        {"model": {"name": "linear", "standardize": "sample"}},
        {"model": STACK},
    ],
    ids=["noisy", "standardised", "classifier"],
)
def test_fresh_metrics_of_the_packaged_model_are_those_of_the_network_on_the_test_split(
    run_one: Any, tmp_path: Path, sections: dict[str, Any]
) -> None:
    contest, result = run_one(**sections)
    model = packaged(result, contest, tmp_path)
    gates = by_name(judge(contest, model, load_best_network(result, "0000"), None, SOUND, first=True))
    expected = evaluate(result).metrics
    assert dict(gates["test metrics"].numbers) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert gates["reloaded"].outcome is Outcome.PASSED
    assert gates["size"].numbers["bytes"] == sum(f.stat().st_size for f in model.folder.rglob("*") if f.is_file())
    assert gates["latency"].numbers["milliseconds"] > 0


def test_a_reloaded_model_that_answers_otherwise_is_found_out(run_one: Any, tmp_path: Path) -> None:
    contest, result = run_one()
    model, network = packaged(result, contest, tmp_path), load_best_network(result, "0000")
    with torch.no_grad():
        next(network.parameters())[0, 20] += 1e-3  # a pixel that is not always black
    gates = by_name(judge(contest, model, network, None, SOUND, first=True))
    assert gates["reloaded"].outcome is Outcome.FAILED
    assert gates["reloaded"].numbers["difference"] > 1e-5


@pytest.mark.parametrize(
    ("output", "change"), [("code", np.nan), ("reconstruction_error", 1e-3), ("class_probabilities", 1e-3)]
)
def test_every_output_of_the_reloaded_model_is_held_against_the_trained_one(
    classifier: tuple[Contest, SweepResult, PackagedModel], output: str, change: float
) -> None:
    contest, result, model = classifier
    network = load_best_network(result, "0000")

    def predict(samples: Any) -> Any:
        outputs = model.predict(samples)
        outputs[0, model.columns[output][0]] += change  # of one sample, which keeps its label
        return outputs

    changed = by_name(judge(contest, replace(model, predict=predict), network, None, SOUND, first=True))["reloaded"]
    assert changed.outcome is Outcome.FAILED
    assert changed.numbers["difference"] == pytest.approx(change, rel=0.1, nan_ok=True)


@pytest.fixture
def classifier(run_one: Any, tmp_path: Path) -> tuple[Contest, SweepResult, PackagedModel]:
    contest, result = run_one(model=STACK, training=TRAINING | {"probe_samples": 0})
    return contest, result, packaged(result, contest, tmp_path)


def examined(contest: Contest, result: SweepResult) -> Examined:
    ranked = result.ranking[0]
    return examine(result, ranked, contest.trial, contest.arrays, load_best_network(result, ranked.trial))


@pytest.mark.parametrize(
    "sections",
    [
        {"model": {"name": "shallow", "hidden_size": 8, "weight_l1": 100.0}},
        {"model": {"name": "shallow", "hidden_size": 80}, "training": TRAINING | {"epochs": 20}},
        {"training": TRAINING | {"learning_rate": 1e-6}},
        {"model": STACK},
    ],
    ids=["collapsed", "copied", "hardly trained", "classifier"],
)
def test_at_its_last_epoch_a_network_has_the_faults_that_its_training_found(
    run_one: Any, sections: dict[str, Any]
) -> None:
    contest, result = run_one(objective={"metric": "valid/mse", "at": "last"}, **sections)
    found = examined(contest, result)
    assert (
        found.epoch
        == found.last_epoch
        == sections.get("training", TRAINING)["epochs"] + (contest.trial.n_pretraining_epochs)
    )
    assert list(found.findings) == list(found.at_end or [])
    if sections != {"model": STACK}:
        assert found.findings


def test_a_network_that_won_before_its_training_ended_is_examined_as_it_was_then(run_one: Any) -> None:
    slow = TRAINING | {"epochs": 24, "learning_rate": 1e-3}
    contest, result = run_one(training=slow, objective={"metric": "valid/code_sparsity"})
    found = examined(contest, result)
    assert (found.epoch, found.last_epoch) == (1, 24)
    assert FindingName.HARDLY_TRAINED in found.findings
    assert FindingName.HARDLY_TRAINED not in (found.at_end or [])
    assert FindingName.STILL_IMPROVING not in found.findings


@pytest.mark.parametrize(
    ("sections", "name", "loss"),
    [
        ({"model": {"name": "shallow", "hidden_size": 8}}, "PCA with 8 components", "mse"),
        (
            {"model": {"name": "shallow", "hidden_size": 8}, "promotion": {"compare": "probe_error"}},
            "PCA with 8 components",
            "probe_error",
        ),
        (
            {
                "model": {"name": "shallow", "hidden_size": 8, "noise": {"level": 0.1}},
                "objective": {"metric": "valid/denoise_mse"},
            },
            "PCA with 8 components",
            "denoise_mse",
        ),
        ({"model": {"name": "shallow", "hidden_size": 64}}, "the training mean", "mse"),
        ({"model": {"name": "linear"}}, "the training mean", "mse"),
        (
            {"model": {"name": "shallow", "hidden_size": 80, "noise": {"level": 0.1}}},
            "leaving the noise in",
            "denoise_mse",
        ),
        (
            {"model": {"name": "shallow", "hidden_size": 80}, "objective": {"metric": "valid/probe_error"}},
            "a linear classifier on the inputs",
            "probe_error",
        ),
        ({"model": STACK}, "a linear classifier on the inputs", "classification_error"),
        ({"model": STACK | {"fine_tuning": "reconstruction"}}, "PCA with 40 components", "mse"),
    ],
)
def test_the_reference_is_pca_where_the_code_narrows_the_data_and_says_why_where_not(
    contest_of: Any, sections: dict[str, Any], name: str, loss: str
) -> None:
    reference = contest_of(**sections).reference
    assert (reference.name, reference.loss) == (name, loss)
    assert reference.reason


def test_losses_of_pca_are_those_of_scikit_learn(contest_of: Any) -> None:
    contest = contest_of(model={"name": "shallow", "hidden_size": 5})
    arrays = contest.arrays
    train, test = (split.inputs.astype(np.float64) * arrays.scale for split in (arrays.train, arrays.test))
    pca = PCA(5, svd_solver="full").fit(train)
    expected = np.square(pca.inverse_transform(pca.transform(test)) - test).mean(axis=1)
    found = sample_losses(contest.reference.predict, "mse", contest.samples)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_losses_of_the_mean_average_to_its_mse(contest_of: Any) -> None:
    contest = contest_of(model={"name": "linear"})
    arrays = contest.arrays
    train, test = (split.inputs.astype(np.float64) * arrays.scale for split in (arrays.train, arrays.test))
    found = sample_losses(contest.reference.predict, "mse", contest.samples)
    assert found.mean() == pytest.approx(np.square(test - train.mean(axis=0)).mean(), rel=1e-5)


def test_leaving_the_noise_in_costs_what_the_noise_is(contest_of: Any) -> None:
    contest = contest_of(model={"name": "shallow", "hidden_size": 80, "noise": {"level": 0.3}})
    found = sample_losses(contest.reference.predict, contest.reference.loss, contest.samples)
    inputs = contest.samples.inputs.astype(np.float64)
    # Masking sets a value to 0 with probability 0.3, so that its square is lost as often.
    assert found.mean() == pytest.approx(0.3 * np.square(inputs).mean(), rel=0.05)
    np.testing.assert_allclose(found, np.square(contest.samples.corrupted - inputs).mean(axis=1), rtol=1e-5)


def test_a_classifier_on_the_inputs_answers_as_scikit_learns_does(contest_of: Any) -> None:
    contest = contest_of(model=STACK)
    arrays = contest.arrays
    scaler = StandardScaler().fit(arrays.train.inputs * arrays.scale)
    fitted = LogisticRegression(max_iter=2000).fit(
        scaler.transform(arrays.train.inputs * arrays.scale), arrays.train.labels
    )
    expected = np.mean(fitted.predict(scaler.transform(arrays.test.inputs * arrays.scale)) != arrays.test.labels)
    found = sample_losses(contest.reference.predict, "classification_error", contest.samples)
    assert set(np.unique(found)) <= {0.0, 1.0}
    assert found.mean() == pytest.approx(expected, abs=0.01)


def test_a_classifier_is_judged_by_its_labels_and_its_reconstructions_do_not_count(
    run_one: Any, tmp_path: Path
) -> None:
    contest, result = run_one(model=STACK)
    network = load_best_network(result, "0000")
    model = packaged(result, contest, tmp_path)
    worse = load_best_network(result, "0000")
    with torch.no_grad():
        for parameter in worse.unrolled.decoder.parameters():  # type: ignore[attr-defined]
            parameter += 10.0  # reconstructs nothing any more
    same = Champion("1", {}, model)
    gate = contest.beats_champion(of_network(worse), same, first=False)
    assert (gate.outcome, gate.numbers["difference"]) == (Outcome.TIE, 0.0)
    assert contest.losses(of_network(network)).mean() == pytest.approx(
        evaluate(result).metrics["test/classification_error"]
    )


def test_a_classifier_is_not_compared_with_what_gives_no_classes(run_one: Any, tmp_path: Path) -> None:
    plain, plain_result = run_one()
    contest, result = run_one(model=STACK)
    champion = Champion("4", {}, packaged(plain_result, plain, tmp_path))
    gate = contest.beats_champion(of_network(load_best_network(result, "0000")), champion, first=False)
    assert gate.outcome is Outcome.FAILED
    assert "gives no classes" in gate.sentence


def test_the_package_and_the_network_have_the_same_losses(run_one: Any, tmp_path: Path) -> None:
    for loss in ("mse", "denoise_mse", "probe_error"):
        contest, result = run_one(
            model={"name": "shallow", "hidden_size": 8, "noise": {"level": 0.2}}, promotion={"compare": loss}
        )
        model = packaged(result, contest, tmp_path / loss)
        ours = contest.losses(of_package(model, contest.arrays.scale))
        theirs = contest.losses(of_network(load_best_network(result, "0000")))
        np.testing.assert_allclose(ours, theirs, atol=1e-5 if loss != "probe_error" else 0)
        assert ours.mean() == pytest.approx(evaluate(result).metrics[f"test/{loss}"], rel=1e-4)


def test_the_data_are_the_same_only_with_the_same_test_samples(digits_arrays: Any) -> None:
    tags = data_identity(digits_arrays)
    assert has_same_data(tags, digits_arrays)
    fewer = replace(digits_arrays, test=digits_arrays.test.take(np.arange(10)))
    assert not has_same_data(tags, fewer)
    assert not has_same_data(tags, replace(digits_arrays, checksum="other"))
    assert not has_same_data({}, digits_arrays)


def test_a_point_is_trained_again_on_other_seeds_and_nothing_else_changes(small_sweep: MakeSweep) -> None:
    config = small_sweep(
        search={"model.hidden_size": {"int": [8, 64]}},
        budget={"trials": 4},
        training={"epochs": 6, "seed": 3},
        stopping={"name": "asha"},
        promotion={"confidence": 0.9},
    )
    trial = config.trial_at({"model.hidden_size": 24})
    again = seeds_sweep(Contest(config, trial, None), 3)  # type: ignore[arg-type]
    assert again.n_trials == 3
    trials = again.corner_trials()
    assert [one.training.seed for one in trials] == [4, 5, 6]
    assert {one.model.hidden_size for one in trials} == {24}
    assert {one.to_dict() | {"training": None} == trial.to_dict() | {"training": None} for one in trials} == {True}
    assert (again.experiment, again.promotion, again.stopping.name) == (config.experiment, config.promotion, "none")


def test_the_median_of_the_seeds_is_judged(run_one: Any, run_here: Run) -> None:
    contest, _ = run_one(model={"name": "shallow", "hidden_size": 80})
    again = run_here(seeds_sweep(contest, 3))
    gate = judge_seeds(contest, again, None, 3, first=True)
    losses = sorted(contest.losses(of_network(load_best_network(again, t.trial))).mean() for t in again.ranking)
    assert gate.outcome is Outcome.PASSED, gate.sentence
    assert (gate.numbers["best"], gate.numbers["worst"]) == pytest.approx((losses[0], losses[2]))
    (median,) = [t for t in again.ranking if t.point["training.seed"] == gate.numbers["seed"]]
    assert contest.losses(of_network(load_best_network(again, median.trial))).mean() == pytest.approx(losses[1])
    assert judge_seeds(contest, again, None, 4, first=True).outcome is Outcome.FAILED
    assert judge_seeds(contest, again, None, 3, first=False).outcome is Outcome.FAILED
