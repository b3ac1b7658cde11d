import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as lightning
import torch
from torch import Tensor

from sweeps.models.build import Phase, build_phases
from sweeps.models.config import DeepConfig, ModelConfig, ShallowConfig, StackedDenoisingConfig, TrainingConfig
from sweeps.models.errors import DivergedError
from sweeps.models.networks.corruption import Noise
from sweeps.models.networks.network import initialise
from sweeps.models.networks.shallow import ShallowAutoencoder
from sweeps.models.training.member import Member, Optimizer
from sweeps.models.training.objectives import Reconstruction
from sweeps.models.training.penalties import Penalties
from sweeps.models.training.validation import Validation

INPUTS = torch.rand(90, 12, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(90) % 3
NOISE = {"kind": "salt_and_pepper", "level": 0.3}
MODELS: dict[str, ModelConfig] = {
    "shallow": ShallowConfig.model_validate({"hidden_size": 5, "noise": NOISE, "weight_l1": 0.01, "hidden_l1": 0.01}),
    "deep": DeepConfig.model_validate({"hidden_sizes": (8,), "code_size": 3, "tied_weights": True, "noise": NOISE}),
    "classifier": StackedDenoisingConfig.model_validate({"hidden_sizes": (7, 5), "noise": NOISE}),
    "unrolled": StackedDenoisingConfig.model_validate(
        {"hidden_sizes": (7, 5), "noise": NOISE, "fine_tuning": "reconstruction", "tied_weights": False}
    ),
}


def module(penalties: Penalties | None = None, noise: Noise | None = None, **settings: Any) -> Member:
    network = ShallowAutoencoder(12, 5, activation="sigmoid")
    initialise(network, torch.Generator().manual_seed(0))
    objective = Reconstruction(network, noise=noise or Noise(), penalties=penalties or Penalties())
    return Member(network, objective, validation=Validation(network, noise or Noise()), **settings)


def phases(model: ModelConfig, **training: Any) -> list[Phase]:
    return build_phases(model, TrainingConfig(**training), input_size=12, n_classes=3)


def clean_inputs(phase: Phase) -> Tensor:
    with torch.no_grad():
        return INPUTS if phase.inputs is None else phase.inputs(INPUTS)


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


class SaveEachEpoch(lightning.Callback):
    """Save checkpoints as a sweep does: at the end of an epoch, while the fit continues."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.current_epoch + 1}.ckpt")


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_training_lowers_the_loss(fit, batches, optimizer) -> None:  # type: ignore[no-untyped-def]
    trained = module(optimizer=Optimizer(optimizer, 0.01))
    fit(trained, batches(INPUTS))
    first = trained.metrics["train/loss"]

    fit(trained, batches(INPUTS), epochs=10)

    assert trained.metrics["train/loss"] < 0.95 * first


def test_training_loss_is_the_penalised_loss_averaged_over_the_samples(fit, batches) -> None:  # type: ignore[no-untyped-def]
    penalties = Penalties(weight_l1=0.5, hidden_l1=0.25)
    trained = module(penalties, optimizer=Optimizer("sgd", 1e-30))  # in float32 the weights stay as they are
    network = trained.network

    fit(trained, batches(INPUTS, size=40))  # 40, 40 and 10

    activations = network(INPUTS)
    mse = (activations.reconstruction - INPUTS).square().mean()
    l1 = 0.5 * torch.stack([weight.abs().mean() for weight in network.weights()]).mean()
    expected = mse + l1 + 0.25 * activations.code.abs().mean()
    assert trained.metrics["train/loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_penalties_and_noise_do_not_affect_metrics_of_the_clean_split(fit, batches) -> None:  # type: ignore[no-untyped-def]
    plain = module(optimizer=Optimizer("sgd", 1e-30))
    penalised = module(Penalties(weight_l2=9.0), Noise("gaussian", 0.5), optimizer=Optimizer("sgd", 1e-30))
    for trained in (plain, penalised):
        fit(trained, batches(INPUTS), batches(INPUTS, shuffle=False))

    assert penalised.metrics["valid/mse"] == plain.metrics["valid/mse"]
    assert penalised.metrics["train/loss"] > plain.metrics["train/loss"]
    assert penalised.metrics["valid/denoise_mse"] > plain.metrics["valid/mse"]


def test_metrics_have_the_documented_names(fit, batches) -> None:  # type: ignore[no-untyped-def]
    trained = module(noise=Noise("masking", 0.3))

    fit(trained, batches(INPUTS), batches(INPUTS, shuffle=False), epochs=2)

    assert set(trained.metrics) == {
        "train/loss",
        "valid/mse",
        "valid/denoise_mse",
        "valid/code_sparsity",
        "valid/dead_units",
    }


def test_every_metric_of_an_epoch_is_available_to_its_end_callbacks(fit, batches) -> None:  # type: ignore[no-untyped-def]
    seen = []

    class Look(lightning.Callback):
        def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
            seen.append(dict(trained.metrics))

    trained = module()
    fit(trained, batches(INPUTS), batches(INPUTS, shuffle=False), epochs=2, callbacks=[Look()])

    assert [{"train/loss", "valid/mse"} <= set(metrics) for metrics in seen] == [True, True]
    assert seen[0]["train/loss"] != seen[1]["train/loss"]


@pytest.mark.parametrize(("validate_every", "epochs"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5])])
def test_the_last_epoch_is_validated_at_any_validation_rate(fit, batches, validate_every, epochs) -> None:  # type: ignore[no-untyped-def]
    seen = []

    class Look(lightning.Callback):
        def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
            seen.append(trainer.current_epoch + 1)

    fit(
        module(),
        batches(INPUTS),
        batches(INPUTS, shuffle=False),
        epochs=5,
        validate_every=validate_every,
        callbacks=[Look()],
    )

    assert seen == epochs


@pytest.mark.parametrize("name", MODELS)
def test_a_training_resumed_in_mid_phase_matches_an_uninterrupted_one(fit, batches, tmp_path, name) -> None:  # type: ignore[no-untyped-def]
    straight, stopped, resumed = (phases(MODELS[name], seed=3) for _ in range(3))
    for phase in zip(straight, stopped, resumed, strict=True):
        inputs = [batches(clean_inputs(part), LABELS) for part in phase]
        fit(phase[0].member, inputs[0], epochs=4)
        trainer = fit(phase[1].member, inputs[1], epochs=2)
        checkpoint = tmp_path / f"{phase[0].name.replace('/', '-')}.ckpt"
        trainer.save_checkpoint(checkpoint)

        fit(phase[2].member, inputs[2], epochs=4, checkpoint=checkpoint)

        assert_equal(phase[2].member.state_dict(), phase[0].member.state_dict())
        assert phase[2].member.metrics["train/loss"] == phase[0].member.metrics["train/loss"]
        fit(
            phase[1].member, inputs[1], epochs=4, checkpoint=checkpoint
        )  # so that the next phase starts in the same state


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_checkpoint_taken_during_the_fit_resumes_to_the_same_result(fit, batches, tmp_path, epoch) -> None:  # type: ignore[no-untyped-def]
    valid = batches(INPUTS, shuffle=False)
    straight, resumed = (module(noise=Noise("masking", 0.3)) for _ in range(2))
    fit(straight, batches(INPUTS), valid, epochs=4, callbacks=[SaveEachEpoch(tmp_path)])

    trainer = fit(resumed, batches(INPUTS), valid, epochs=4, checkpoint=tmp_path / f"{epoch}.ckpt")

    assert_equal(resumed.state_dict(), straight.state_dict())
    assert resumed.metrics == straight.metrics
    assert trainer.global_step == 4 * 3


def test_a_resumed_training_ends_each_epoch_once(fit, batches, tmp_path) -> None:  # type: ignore[no-untyped-def]
    ended = []

    class Look(lightning.Callback):
        def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
            ended.append(trainer.current_epoch + 1)

    valid = batches(INPUTS, shuffle=False)
    fit(module(), batches(INPUTS), valid, epochs=4, callbacks=[SaveEachEpoch(tmp_path)])
    for epoch in (2, 4):
        resumed = fit(
            module(), batches(INPUTS), valid, epochs=4, checkpoint=tmp_path / f"{epoch}.ckpt", callbacks=[Look()]
        )
        assert resumed.current_epoch == 4

    assert ended == [3, 4]


def test_a_checkpoint_has_plain_values_and_the_whole_network(fit, batches, tmp_path) -> None:  # type: ignore[no-untyped-def]
    first, *_ = phases(MODELS["classifier"])
    fit(first.member, batches(INPUTS)).save_checkpoint(tmp_path / "first.ckpt")

    checkpoint = torch.load(tmp_path / "first.ckpt", weights_only=True)

    assert set(checkpoint["state_dict"]) == {f"members.0.network.{name}" for name in first.member.network.state_dict()}


def test_training_is_reproducible_by_seed(fit, batches) -> None:  # type: ignore[no-untyped-def]
    trained = []
    for seed in (1, 1, 2):
        (phase,) = phases(MODELS["shallow"], seed=seed)
        fit(phase.member, batches(INPUTS), epochs=2)
        trained.append(phase.member.state_dict())

    assert_equal(trained[0], trained[1])
    assert not torch.equal(trained[0]["network.encoder.weight"], trained[2]["network.encoder.weight"])


def test_epochs_draw_different_noise(fit, batches) -> None:  # type: ignore[no-untyped-def]
    losses = []
    trained = module(noise=Noise("masking", 0.5), optimizer=Optimizer("sgd", 1e-30))

    class Look(lightning.Callback):
        def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
            losses.append(trained.metrics["train/loss"])

    fit(trained, batches(INPUTS), epochs=3, callbacks=[Look()])

    assert len(set(losses)) == 3


def test_training_leaves_the_global_generator_alone(fit, batches) -> None:  # type: ignore[no-untyped-def]
    before = torch.get_rng_state()
    (phase,) = phases(MODELS["shallow"])

    fit(phase.member, batches(INPUTS), batches(INPUTS, shuffle=False), epochs=2)

    assert torch.equal(torch.get_rng_state(), before)


def test_a_non_finite_loss_ends_the_training_and_names_the_epoch(fit, batches) -> None:  # type: ignore[no-untyped-def]
    trained = module(optimizer=Optimizer("sgd", 1e20))
    valid = batches(INPUTS, shuffle=False)

    with pytest.raises(DivergedError, match=r"^train/loss is (nan|inf) at epoch 1: .*learning rate"):
        fit(trained, batches(INPUTS), valid, epochs=4)


def test_a_non_finite_metric_ends_the_training(fit, batches) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DivergedError, match=r"^valid/mse is inf at epoch 1"):
        fit(module(), batches(INPUTS), batches(INPUTS * 1e30, shuffle=False))


def test_only_the_training_loss_is_logged_without_validation(fit, batches) -> None:  # type: ignore[no-untyped-def]
    first, *_ = phases(MODELS["classifier"])

    fit(first.member, batches(INPUTS), batches(INPUTS, shuffle=False))

    assert set(first.member.metrics) == {"train/loss"}


def test_nothing_is_read_from_the_device_before_the_end_of_an_epoch(fit, batches, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    # On a GPU each such read waits for all work in flight.
    reads = []
    item = Tensor.item
    trained = module(Penalties(0.1, 0.1, 0.1), Noise("masking", 0.3))
    monkeypatch.setattr(Tensor, "item", lambda tensor: reads.append(0) or item(tensor))

    fit(trained, batches(INPUTS, size=10))

    assert reads == []


def test_steps_are_counted_as_lightning_counts_them(fit, batches) -> None:  # type: ignore[no-untyped-def]
    assert fit(module(), batches(INPUTS, size=20), epochs=2).global_step == 10


def test_a_double_precision_network_trains_in_double_precision(fit, batches) -> None:  # type: ignore[no-untyped-def]
    trained = module(Penalties(0.1, 0.1, 0.1), Noise("gaussian", 0.3)).double()

    fit(trained, batches(INPUTS.double()), batches(INPUTS.double(), shuffle=False))

    assert math.isfinite(trained.metrics["valid/mse"])
    assert all(tensor.dtype == torch.float64 for tensor in trained.state_dict().values())


def test_the_cosine_schedule_lowers_the_rate_epoch_by_epoch() -> None:
    optimizer = Optimizer("sgd", 0.1, "cosine")

    assert [round(optimizer.rate(epoch, 4), 6) for epoch in range(4)] == [0.1, 0.085355, 0.05, 0.014645]
    assert {Optimizer("sgd", 0.1).rate(epoch, 4) for epoch in range(4)} == {0.1}


def test_a_schedule_reaches_the_optimizer(fit, batches) -> None:  # type: ignore[no-untyped-def]
    (phase,) = build_phases(
        ShallowConfig(hidden_size=2),
        TrainingConfig(epochs=4, learning_rate=0.1, schedule="cosine"),
        input_size=3,
        n_classes=None,
    )

    trainer = fit(phase.member, batches(torch.rand(8, 3)), epochs=4)

    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.014645, abs=1e-6)
