"""Each fault is looked for in a really trained small network that has it, and in one that has not."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from torch import Tensor, nn

from models.config import DeepConfig, NoiseConfig, ShallowConfig, StackedDenoisingConfig, TrainingConfig
from models.diagnosis import Fault, Finding, diagnose
from models.evidence import Evidence, LossTerms, Settings, layer_statistics, settings_of
from models.metrics import references

Array = NDArray[Any]
ACTIVATIONS = {"relu": nn.ReLU(), "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "elu": nn.ELU(), "linear": nn.Identity()}


@dataclass(frozen=True)
class Run:
    """One small training: on which data, of what, for how long."""

    data: str = "digits"
    n_train: int = 1400
    hidden_size: int = 16
    activation: str = "tanh"
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 3e-3
    optimizer: str = "adam"
    noise_level: float = 0.0
    weight_l1: float = 0.0
    weight_l2: float = 0.0
    hidden_l1: float = 0.0
    gain: float = 1.0


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@cache
def samples(name: str) -> Array:
    if name == "digits":
        return np.random.default_rng(0).permutation(load_digits().data / 16)
    if name == "blobs":
        deltas = np.zeros((784, 28, 28))
        deltas[np.arange(784), np.arange(784) // 28, np.arange(784) % 28] = 2
        return np.stack([gaussian_filter(delta, 2, mode="nearest", truncate=4) for delta in deltas]).reshape(784, 784)
    raw = np.random.default_rng(0).normal(1.1090579, 0.0012380764, (1700, 84))
    return raw if name == "raw" else (raw - raw.mean(axis=0)) / raw.std(axis=0)


@cache
def train(run: Run) -> Evidence:
    inputs = samples(run.data).astype(np.float32)
    clean = torch.as_tensor(inputs[: run.n_train])
    valid = clean if run.data == "blobs" else torch.as_tensor(inputs[1400:])
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(clean.shape[1], run.hidden_size), nn.Linear(run.hidden_size, clean.shape[1])
    with torch.no_grad():
        encoder.weight *= run.gain

    def encode(batch: Tensor) -> Tensor:
        return ACTIVATIONS[run.activation](encoder(batch))  # type: ignore[no-any-return]

    def error(batch: Tensor, target: Tensor) -> Tensor:
        return ((decoder(encode(batch)) - target) ** 2).mean()

    def penalty(batch: Tensor) -> Tensor:
        weights = encoder.weight, decoder.weight
        l1, l2 = (sum(power(weight).mean() for weight in weights) / 2 for power in (torch.abs, torch.square))
        return run.weight_l1 * l1 + run.weight_l2 * l2 + run.hidden_l1 * encode(batch).abs().mean()

    def corrupt(batch: Tensor) -> Tensor:
        return batch * (torch.rand_like(batch) >= run.noise_level)

    @torch.no_grad()
    def terms() -> LossTerms:
        return LossTerms(float(error(clean, clean)), float(penalty(clean)))

    first_loss, history = terms(), []
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[run.optimizer](parameters, run.learning_rate)
    for epoch in range(1, run.epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(clean)).split(run.batch_size):
            noisy = corrupt(clean[rows])
            loss = error(noisy, clean[rows]) + penalty(noisy)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        with torch.no_grad():
            metrics = {"train/loss": total / len(clean), "valid/mse": float(error(valid, valid))}
            if run.noise_level:
                metrics["valid/denoise_mse"] = float(error(corrupt(valid), valid))
        history.append((epoch, metrics))
    with torch.no_grad():
        return Evidence(
            settings=Settings(
                code_size=run.hidden_size,
                size_setting="model.hidden_size",
                activation=run.activation,
                learning_rate=run.learning_rate,
                noise_level=run.noise_level,
                weight_l1=run.weight_l1,
                weight_l2=run.weight_l2,
                hidden_l1=run.hidden_l1,
            ),
            references=references(clean.numpy(), valid.numpy(), 1.0),
            history=history,
            column_mean=clean.numpy().mean(axis=0),
            originals=valid[:200].numpy(),
            reconstructions=decoder(encode(valid[:200])).numpy(),
            layers=(layer_statistics(encode(valid).numpy(), run.activation),),
            filters=encoder.weight.numpy(),
            first_loss=first_loss,
            last_loss=terms(),
            train_mse=float(error(clean, clean)),
        )


def found(run: Run) -> dict[Fault, Finding]:
    return {finding.name: finding for finding in diagnose(train(run))}


GOOD = Run(activation="tanh", hidden_size=32, epochs=25, learning_rate=1e-2, noise_level=0.1)
LINEAR = Run(activation="linear", epochs=30, learning_rate=1e-2)
SHORT = replace(LINEAR, epochs=3)
SLOW = replace(LINEAR, optimizer="sgd", learning_rate=1e-5, epochs=3)
CRUSHED = Run(activation="relu", hidden_size=64, weight_l1=5.0, hidden_l1=5.0, learning_rate=1e-2)
RAW = Run(data="raw", activation="linear", hidden_size=84, epochs=5, optimizer="sgd", learning_rate=0.01)
FASTER = Run(activation="relu", hidden_size=64, learning_rate=0.3)
WIDE = Run(activation="relu", hidden_size=128, epochs=15, learning_rate=5e-3)
NINE_BLOBS = Run(data="blobs", activation="relu", hidden_size=9, weight_l2=1e-4, epochs=20, learning_rate=1e-3)
CRUSHED_BLOBS = replace(NINE_BLOBS, epochs=5, learning_rate=1e-2, hidden_size=25, weight_l1=0.5, hidden_l1=0.5)
FEW = Run(n_train=60, hidden_size=48, epochs=150, learning_rate=1e-2, batch_size=20, activation="relu")


def test_a_good_training_has_no_fault() -> None:
    assert found(LINEAR) == {}


def test_heavy_penalties_collapse_to_the_mean() -> None:
    finding = found(CRUSHED)[Fault.COLLAPSED]
    assert finding.evidence["penalty share"] > 0.1
    assert "model.weight_l1 and model.hidden_l1" in finding.advice


def test_blobs_with_penalties_of_one_half_collapse_to_the_mean() -> None:
    assert Fault.COLLAPSED in found(CRUSHED_BLOBS)


def test_small_penalties_do_not_collapse() -> None:
    assert Fault.COLLAPSED not in found(replace(CRUSHED, weight_l1=1e-4, hidden_l1=1e-4))


def two_by_two(*, learning_rate: float, n_steps: int) -> Evidence:
    """The 2-1-2-2 sigmoid network without biases on two rows of one random number and a one, by gradient descent."""
    inputs = np.array([[0.37853141, 1.0], [0.59747807, 1.0]])
    rng = np.random.default_rng(0)
    weights = [rng.random(shape) for shape in ((2, 1), (1, 2), (2, 2))]
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    history = []
    for step in range(1, n_steps + 1):
        code = 1 / (1 + np.exp(-inputs @ weights[0]))
        hidden = 1 / (1 + np.exp(-code @ weights[1]))
        output = hidden @ weights[2]
        slope = (output - inputs) / len(inputs)
        back = (slope @ weights[2].T) * hidden * (1 - hidden)
        gradients = [inputs.T @ ((back @ weights[1].T) * code * (1 - code)), code.T @ back, hidden.T @ slope]
        for index, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            if learning_rate < 0.01:  # the posted descent
                weight -= learning_rate * gradient
            else:  # Adam
                first, second = moments[index]
                first += 0.1 * (gradient - first)
                second += 0.001 * (gradient**2 - second)
                hat = (first / (1 - 0.9**step), second / (1 - 0.999**step))
                weight -= learning_rate * hat[0] / (np.sqrt(hat[1]) + 1e-8)
        if step % 1000 == 0:
            error = float(np.mean((output - inputs) ** 2))
            history.append((step // 1000, {"train/loss": error, "valid/mse": error}))
    settings = Settings(1, "model.code_size", "sigmoid", learning_rate)
    return Evidence(settings, references(inputs, inputs, 1.0), history, inputs.mean(axis=0), inputs, output)


def test_stuck_two_by_two_network_answers_the_column_mean() -> None:
    findings = diagnose(two_by_two(learning_rate=0.001, n_steps=10_000))
    assert Fault.COLUMN_MEAN in [finding.name for finding in findings]
    assert Fault.COLLAPSED not in [finding.name for finding in findings]


def test_two_by_two_network_that_learns_does_not_answer_the_column_mean() -> None:
    findings = diagnose(two_by_two(learning_rate=0.01, n_steps=10_000))
    assert Fault.COLUMN_MEAN not in [finding.name for finding in findings]


def test_steps_that_are_too_small_leave_a_network_hardly_trained() -> None:
    finding = found(SLOW)[Fault.HARDLY_TRAINED]
    assert finding.evidence["r2"] < 0.1
    assert "training.learning_rate, now 1e-05" in finding.advice


def test_a_network_that_learns_nothing_but_its_penalties_is_told_to_lower_them() -> None:
    whole = train(SLOW)
    penalised = replace(
        whole, last_loss=LossTerms(0.1, 0.9), settings=replace(whole.settings, weight_l1=1.0, weight_l2=2.0)
    )
    (advice,) = [f.advice for f in diagnose(penalised) if f.name is Fault.HARDLY_TRAINED]
    assert advice == "Lower model.weight_l1 or model.weight_l2 by a factor of 10 or more."


@pytest.mark.parametrize("run", [LINEAR, SHORT, CRUSHED, RAW, FASTER, FEW])
def test_other_faults_are_not_called_hardly_trained(run: Run) -> None:
    assert Fault.HARDLY_TRAINED not in found(run)


def test_raw_features_hardly_vary() -> None:
    faults = found(RAW)
    assert faults[Fault.HARDLY_VARIES].evidence["standard deviation over mean"] == pytest.approx(0.00112, abs=1e-5)
    assert "tandardise" in faults[Fault.HARDLY_VARIES].advice
    assert Fault.COLLAPSED not in faults
    assert Fault.COLUMN_MEAN not in faults


def test_raw_features_answered_by_their_mean_are_to_be_standardised_and_not_called_collapsed() -> None:
    raw = train(RAW)
    assert raw.originals is not None
    error = raw.references.mean_mse
    answers_the_mean = replace(
        raw,
        history=[(epoch, {"train/loss": error, "valid/mse": error}) for epoch in (1, 2, 3)],
        reconstructions=np.broadcast_to(raw.originals.mean(axis=0), raw.originals.shape),
    )
    assert [finding.name for finding in diagnose(answers_the_mean)] == [Fault.HARDLY_VARIES]


@pytest.mark.parametrize("run", [replace(RAW, data="standardised", learning_rate=0.1), LINEAR])
def test_features_that_vary_are_not_told_to_be_standardised(run: Run) -> None:
    assert Fault.HARDLY_VARIES not in found(run)


def test_half_trained_code_is_worse_than_pca() -> None:
    finding = found(SHORT)[Fault.WORSE_THAN_PCA]
    assert finding.evidence["mse over PCA"] > 1.05
    assert "training.epochs" in finding.advice


def test_linear_code_trained_to_its_end_is_as_good_as_pca() -> None:
    assert Fault.WORSE_THAN_PCA not in found(LINEAR)


def test_much_noise_is_named_where_it_costs_against_pca() -> None:
    finding = found(Run(activation="tanh", hidden_size=16, noise_level=0.5, epochs=20, learning_rate=1e-2))[
        Fault.WORSE_THAN_PCA
    ]
    assert "model.noise.level, now 0.5" in finding.advice


def test_large_steps_kill_relu_units() -> None:
    finding = found(FASTER)[Fault.DEAD]
    assert 0.3 < finding.evidence["share"] <= 1
    assert "training.learning_rate" in finding.advice
    assert "elu" in finding.advice


def test_a_penalty_on_the_code_is_named_where_it_kills_units() -> None:
    assert "model.hidden_l1" in found(CRUSHED)[Fault.DEAD].advice


def test_tanh_units_of_a_good_training_are_neither_dead_nor_saturated() -> None:
    assert not {Fault.DEAD, Fault.SATURATED} & found(GOOD).keys()


def test_large_initial_weights_saturate_sigmoid_units() -> None:
    finding = found(Run(activation="sigmoid", hidden_size=64, gain=100.0))[Fault.SATURATED]
    assert finding.evidence["share"] > 0.2
    assert "sigmoid" in finding.advice


def test_sigmoid_units_of_an_ordinary_start_are_not_saturated() -> None:
    assert Fault.SATURATED not in found(Run(activation="sigmoid", hidden_size=64))


def test_penalties_of_one_half_dominate_the_loss_on_blobs() -> None:
    assert found(CRUSHED_BLOBS)[Fault.PENALTY].evidence["penalty share"] > 0.5


def test_small_penalty_does_not_dominate_the_loss() -> None:
    assert Fault.PENALTY not in found(replace(CRUSHED, weight_l1=1e-4, hidden_l1=1e-4))


def test_over_complete_code_without_noise_or_penalty_copies() -> None:
    assert found(WIDE)[Fault.COPIED].evidence["code size"] == 128


@pytest.mark.parametrize("change", [{"noise_level": 0.01}, {"hidden_l1": 1e-4}, {"hidden_size": 48}])
def test_noise_a_penalty_or_a_bottleneck_keeps_from_copying(change: dict[str, Any]) -> None:
    assert Fault.COPIED not in found(replace(WIDE, **change))


def test_nine_filters_of_all_blobs_follow_the_mean_image() -> None:
    finding = found(NINE_BLOBS)[Fault.FOLLOWS_MEAN]
    assert finding.evidence["cosine with the mean"] > 0.5
    assert "model.hidden_size, now 9" in finding.advice


def test_filters_of_both_signs_that_are_strong_where_the_mean_is_follow_it() -> None:
    rng = np.random.default_rng(0)
    mean = np.where(np.arange(784) % 28 < 9, 1.0, 0.1)  # a stripe
    noise = rng.normal(size=(9, 784))
    evidence = replace(train(GOOD), layers=(), column_mean=mean)
    (finding,) = [f for f in diagnose(replace(evidence, filters=noise * mean)) if f.name == Fault.FOLLOWS_MEAN]
    assert finding.evidence["cosine with the mean"] < 0.1
    assert finding.evidence["correlation of the filters' strength with the mean"] > 0.5
    for filters, flat in ((noise, mean), (noise * mean[::-1], mean), (noise * mean, np.full(784, 0.3))):
        found_now = {f.name for f in diagnose(replace(evidence, filters=filters, column_mean=flat))}
        assert Fault.FOLLOWS_MEAN not in found_now


def test_filters_of_dead_units_are_left_out_of_the_comparison_with_the_mean() -> None:
    evidence = train(FASTER)
    assert evidence.layers[0].dead_share > 0.5
    cosines = evidence.filters @ evidence.column_mean / np.linalg.norm(evidence.filters, axis=1)  # type: ignore[operator]
    assert np.median(cosines) < 0
    assert Fault.FOLLOWS_MEAN in {finding.name for finding in diagnose(replace(evidence, layers=()))}
    assert Fault.FOLLOWS_MEAN not in found(FASTER)


@pytest.mark.parametrize("run", [replace(NINE_BLOBS, hidden_size=100, epochs=10, learning_rate=3e-3), GOOD])
def test_filters_of_many_units_do_not_follow_the_mean_image(run: Run) -> None:
    assert Fault.FOLLOWS_MEAN not in found(run)


def test_sixty_samples_are_learnt_by_heart() -> None:
    assert found(FEW)[Fault.OVERFITTING].evidence["valid mse over train mse"] > 1.5


@pytest.mark.parametrize("run", [LINEAR, GOOD, WIDE])
def test_many_samples_are_not_learnt_by_heart(run: Run) -> None:
    assert Fault.OVERFITTING not in found(run)


def test_a_rising_error_beside_a_falling_loss_is_over_fitting_without_a_train_error() -> None:
    history = [(e, {"train/loss": 1 / e, "valid/mse": error}) for e, error in enumerate([0.5, 0.3, 0.32], start=1)]
    evidence = replace(train(LINEAR), history=history, train_mse=None)
    assert Fault.OVERFITTING in [finding.name for finding in diagnose(evidence)]
    falling = replace(evidence, history=[(e, {**m, "train/loss": float(e)}) for e, m in history])
    assert Fault.OVERFITTING not in [finding.name for finding in diagnose(falling)]


def test_a_rising_error_on_the_training_samples_themselves_is_not_over_fitting() -> None:
    history = [(e, {"train/loss": 1 / e, "valid/mse": error}) for e, error in enumerate([0.5, 0.3, 0.32], start=1)]
    restless = replace(train(LINEAR), history=history, train_mse=0.32)
    assert Fault.OVERFITTING not in [finding.name for finding in diagnose(restless)]
    assert Fault.OVERFITTING in [finding.name for finding in diagnose(replace(restless, train_mse=0.3))]


def test_outputs_that_are_the_mean_are_not_over_fitted() -> None:
    crushed = train(CRUSHED)
    error = crushed.references.mean_mse
    history = [(e, {"train/loss": 1 / e, "valid/mse": rise * error}) for e, rise in enumerate([1.2, 1.0, 1.2], start=1)]
    collapsed = replace(crushed, history=history, train_mse=error)
    assert Fault.OVERFITTING not in [finding.name for finding in diagnose(collapsed)]
    varied = replace(collapsed, reconstructions=crushed.originals)
    assert Fault.OVERFITTING in [finding.name for finding in diagnose(varied)]


def test_three_epochs_were_too_few() -> None:
    assert Fault.STILL_IMPROVING in found(SHORT)


def test_thirty_epochs_were_enough() -> None:
    assert Fault.STILL_IMPROVING not in found(LINEAR)


def test_gains_that_no_one_would_wait_for_are_not_called_improving() -> None:
    history = [(e, {"train/loss": error, "valid/mse": error}) for e, error in enumerate([0.1, 0.02, 0.0199], start=1)]
    evidence = replace(train(LINEAR), history=history)
    assert Fault.STILL_IMPROVING not in [finding.name for finding in diagnose(evidence)]
    tiny = [(e, {name: value * 1e-4 for name, value in metrics.items()}) for e, metrics in history[:2]]
    late = replace(evidence, history=[(0, {"valid/mse": 1e-4}), *tiny])
    assert Fault.STILL_IMPROVING not in [finding.name for finding in diagnose(late)]


def test_steps_that_are_too_large_are_told() -> None:
    finding = found(FASTER)[Fault.LEARNING_RATE]
    assert finding.evidence["loss of the first epoch over the untrained"] > 10
    assert "training.learning_rate, now 0.3" in finding.advice


def test_a_training_that_diverged_is_told_nothing_but_to_take_smaller_steps() -> None:
    assert found(Run(optimizer="sgd", learning_rate=30.0, epochs=2)).keys() == {Fault.LEARNING_RATE}


def test_a_late_setback_is_told_as_too_large_a_step() -> None:
    losses = [0.5, 0.2, 0.1, 0.3]
    history = [(e, {"train/loss": loss, "valid/mse": 0.1}) for e, loss in enumerate(losses, start=1)]
    assert Fault.LEARNING_RATE in [finding.name for finding in diagnose(replace(train(LINEAR), history=history))]


@pytest.mark.parametrize("run", [LINEAR, GOOD, WIDE, NINE_BLOBS, FEW])
def test_ordinary_steps_are_not_called_too_large(run: Run) -> None:
    assert Fault.LEARNING_RATE not in found(run)


@pytest.mark.parametrize("run", [GOOD, CRUSHED, RAW, SLOW, FASTER, WIDE, NINE_BLOBS, CRUSHED_BLOBS, FEW])
def test_every_finding_names_a_setting_and_finite_numbers(run: Run) -> None:
    for finding in diagnose(train(run)):
        assert any(section in finding.advice for section in ("model.", "training.", "data."))
        assert finding.advice.endswith(".")
        assert finding.advice.count(". ") == 0
        assert finding.evidence
        assert np.isfinite(list(finding.evidence.values())).all()
        assert str(finding).startswith(f"{finding.name} (")


@pytest.mark.parametrize("run", [GOOD, CRUSHED, FASTER])
def test_little_evidence_is_enough_for_some_rules_and_raises_in_none(run: Run) -> None:
    whole = train(run)
    bare = Evidence(whole.settings, whole.references, whole.history)
    assert {finding.name for finding in diagnose(bare)} <= {finding.name for finding in diagnose(whole)}
    assert diagnose(Evidence(whole.settings, whole.references, [])) == []


def test_layers_are_judged_by_their_outputs() -> None:
    outputs = np.array([[0.0, 0.001, 0.5], [0.0, 0.002, 0.6]])
    statistics = layer_statistics(outputs, "sigmoid")
    assert statistics.dead.tolist() == [True, False, False]
    assert statistics.saturated.tolist() == [False, True, False]
    assert layer_statistics(outputs, "relu").saturated_share == 0


@pytest.mark.parametrize(("activation", "flat"), [("sigmoid", 1.0), ("tanh", -1.0), ("elu", -1.0)])
def test_units_near_their_bound_are_saturated(activation: str, flat: float) -> None:
    outputs = np.array([[flat * 0.9999, 0.5], [flat * 0.9998, 0.4]])
    assert layer_statistics(outputs, activation).saturated.tolist() == [True, False]


def test_settings_are_read_from_a_trial_config() -> None:
    training = TrainingConfig(learning_rate=0.01)
    shallow = settings_of(ShallowConfig(hidden_size=9, hidden_l1=0.5, noise=NoiseConfig(level=0.2)), training)
    assert shallow == Settings(9, "model.hidden_size", "relu", 0.01, noise_level=0.2, hidden_l1=0.5)
    assert settings_of(DeepConfig(code_size=3), training).size_setting == "model.code_size"
    stacked = settings_of(StackedDenoisingConfig(hidden_sizes=(30, 20, 10)), training)
    assert (stacked.code_size, stacked.noise_level) == (10, 0.2)
