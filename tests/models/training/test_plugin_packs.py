"""Plug-in networks in training: what they draw depends on the seed and the epoch alone, and packs give the same."""

import copy
import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from sweeps.models.build import build_phases
from sweeps.models.config import ModelConfig, TrainingConfig
from sweeps.models.config.plugin import plugin_section
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.corruption import SharedDraws
from sweeps.models.networks.network import Network
from sweeps.models.networks.plugin import PluginNetwork
from sweeps.models.networks.seeds import TRAINING_NOISE, seeded_generator
from sweeps.models.training import trial_pack
from sweeps.models.training.alone import Alone
from sweeps.models.training.learners import alike, learner_of
from sweeps.models.training.member import Trainee
from sweeps.models.training.stack import Stack

SHAPE = SampleShape(16, (4, 4))
BATCHES = [torch.rand(10, 16, generator=torch.Generator().manual_seed(number)) for number in range(6)]
PACKED = ["Conv", "Bare", "Dropout", "Normalised", "VectorWeights", "ParameterWeights"]
SINGLE = {
    "Branching": "torch.func.vmap cannot train several as one: RuntimeError: vmap: It looks like you're",
    "HoldsLock": "it raised TypeError: cannot pickle '_thread.lock' object",
    "HalfFrozen": "into.weight differs from what it is if trained by itself",
    "MovingAverage": "average differs from what it is if trained by itself",
}


def section(name: str, **settings: Any) -> ModelConfig:
    return plugin_section(f"plugin_networks:{name}").model_validate({"name": f"plugin_networks:{name}"} | settings)


def trainee(index: int, model: ModelConfig, seed: int = 0, optimizer: str = "adam") -> Trainee:
    training = TrainingConfig(epochs=2, seed=seed, optimizer=optimizer, learning_rate=0.01)  # type: ignore[arg-type]
    (phase,) = build_phases(model, training, input_size=SHAPE, n_classes=None)
    return Trainee(index, phase.member, phase.member.torch_optimizer())


def train(trainees: list[Trainee], *, stacks: bool, epochs: tuple[int, ...] = (0, 1)) -> list[dict[str, Tensor]]:
    learners = [learner_of(group) for group in alike(trainees, stacks=stacks)]
    for epoch in epochs:
        draws = SharedDraws(lambda epoch=epoch: seeded_generator(0, TRAINING_NOISE, 0, epoch))  # type: ignore[misc]
        for learner in learners:
            learner.start_epoch(epoch, 2, seeded_generator(0, TRAINING_NOISE, 0, epoch))
        for batch in BATCHES[3 * epoch : 3 * epoch + 3]:
            draws.next_batch()
            for learner in learners:
                learner.step([(batch,)] * len(trainees), draws)
        for learner in learners:
            learner.finish()
    return [state(trainee.member.network) for trainee in trainees]


def state(network: Network) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def variants(name: str) -> list[Trainee]:
    settings: list[dict[str, Any]] = [
        {"noise": {"level": 0.3}},
        {"hidden_l1": 0.01, "weight_l2": 0.01},
        {"noise": {"kind": "gaussian", "level": 0.1}, "weight_l1": 0.001},
    ]
    return [trainee(index, section(name, **values), seed=index) for index, values in enumerate(settings)]


@pytest.mark.parametrize("name", PACKED)
def test_pack_trains_each_as_it_trains_by_itself(name: str) -> None:
    packed, single = variants(name), variants(name)
    assert [type(learner_of(group)) for group in alike(packed, stacks=True)] == [Stack]
    for together, alone in zip(train(packed, stacks=True), train(single, stacks=False), strict=True):
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "reason"), SINGLE.items())
def test_network_that_cannot_pack_trains_by_itself_and_says_why(
    name: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    packed, single = variants(name), variants(name)
    with caplog.at_level(logging.WARNING):
        groups = alike(packed, stacks=True)
        alike(packed, stacks=True)
    assert [type(learner_of(group)) for group in groups] == [Alone] * 3
    (message,) = [record.getMessage() for record in caplog.records]
    assert f"plugin_networks:{name} is not packed: " in message
    assert reason in message
    for together, alone in zip(train(packed, stacks=True), train(single, stacks=False), strict=True):
        for key in together:
            assert torch.equal(together[key], alone[key])


def test_a_pack_that_has_lost_members_is_not_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_pack, "_verdicts", {})
    packed = variants("Branching")
    with caplog.at_level(logging.WARNING):
        train(packed, stacks=True, epochs=(0,))
        groups = alike(packed[1:], stacks=True)  # one was stopped early; Adam has counted steps
    assert [len(group) for group in groups] == [1, 1]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("step", ["copy", "training"])
def test_out_of_memory_in_the_trial_of_a_pack_lets_each_train_by_itself(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_given: Any) -> Any:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(trial_pack, "_verdicts", {})
    monkeypatch.setattr(trial_pack, "_copied" if step == "copy" else "_train_stacked", out_of_memory)
    assert [len(group) for group in alike(variants("Bare"), stacks=True)] == [1, 1, 1]


def test_networks_of_different_settings_or_shapes_do_not_pack() -> None:
    trainees = [
        trainee(0, section("Conv", channels=2)),
        trainee(1, section("Conv", channels=3)),
        trainee(2, section("Conv", channels=2, loss_reduction="sum")),
        trainee(3, section("Bare")),
        trainee(4, section("Conv", channels=2, hidden_l1=0.1), seed=7),
    ]
    groups = [[trainee.index for trainee in group] for group in alike(trainees, stacks=True)]
    assert groups == [[0, 4], [1], [2], [3]]


@pytest.mark.parametrize("stacks", [False, True])
def test_resumed_training_draws_as_one_that_was_not_interrupted(stacks: bool) -> None:
    whole, first = variants("Dropout"), variants("Dropout")
    expected = train(whole, stacks=stacks)
    train(first, stacks=stacks, epochs=(0,))
    torch.rand(17)  # another process has drawn other numbers
    resumed = variants("Dropout")
    for new, old in zip(resumed, first, strict=True):
        new.member.network.load_state_dict(old.member.network.state_dict())
        new.optimizer.load_state_dict(copy.deepcopy(old.optimizer.state_dict()))
    for again, before in zip(train(resumed, stacks=stacks, epochs=(1,)), expected, strict=True):
        for key in again:
            assert torch.equal(again[key], before[key])


def test_what_a_network_draws_depends_on_no_other_and_leaves_the_global_generator() -> None:
    alone = train([trainee(0, section("Dropout"))], stacks=False)[0]
    before = torch.get_rng_state()
    both = train([trainee(0, section("Dropout")), trainee(1, section("Dropout", hidden_l1=0.1))], stacks=False)[0]
    assert torch.equal(torch.get_rng_state(), before)
    for key in alone:
        assert torch.equal(alone[key], both[key])


def test_dropout_draws_anew_in_each_epoch_and_not_in_measurements() -> None:
    member = trainee(0, section("Dropout"))
    network = member.member.network
    assert isinstance(network, PluginNetwork)
    learner = Alone(member)
    seen: list[Tensor] = []
    for epoch in range(2):
        learner.start_epoch(epoch, 2, seeded_generator(0, TRAINING_NOISE, 0, epoch))
        with learner._draws():
            seen.append(network(BATCHES[0]).code)
        learner.finish()
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(network(BATCHES[0]).code, network(BATCHES[0]).code)
    network.train()
    assert torch.equal(network(BATCHES[0]).code, network(BATCHES[0]).code)


def test_measurements_do_not_change_the_statistics_of_batch_normalization() -> None:
    network = trainee(0, section("Normalised")).member.network
    before = state(network)
    network(BATCHES[0])
    torch.testing.assert_close(state(network), before, rtol=0, atol=0)
