"""Members of a pack train as they would alone, side by side, or as one stacked network."""

import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import count
from typing import Any

import pytest
import pytorch_lightning as lightning
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sweeps.models.build import Phase, build_phases
from sweeps.models.config import ModelConfig, TrainingConfig
from sweeps.models.feature_statistics import feature_statistics
from sweeps.models.networks.corruption import Noise
from sweeps.models.networks.network import Batch
from sweeps.models.training.learners import Alone, alike
from sweeps.models.training.member import Member, Trainee
from sweeps.models.training.stack import Stack
from sweeps.models.training.stacked_optimizers import StackedAdam, StackedSGD
from sweeps.models.training.validation import Validation

INPUTS = torch.rand(40, 6, generator=torch.Generator().manual_seed(0))
STATISTICS = feature_statistics(INPUTS.numpy(), 1.0)
CONFIGS: TypeAdapter[Any] = TypeAdapter(ModelConfig)

# A model and the training settings that differ between members.
Trial = tuple[dict[str, Any], dict[str, Any]]

ACTIVATIONS = st.sampled_from(["linear", "sigmoid", "tanh", "relu", "elu"])
SIZES = st.integers(1, 5)
LEVELS = st.sampled_from([0.0, 0.1, 0.5, 1.0])
RATES = st.sampled_from([1e-3, 1e-2])
MOMENTA = st.sampled_from([0.0, 0.5, 0.9])


@st.composite
def architectures(draw: st.DrawFn) -> dict[str, Any]:
    """The settings that all members of a stack share."""
    name = draw(st.sampled_from(["shallow", "deep", "linear", "stacked_denoising"]))
    shared: dict[str, Any] = {"name": name, "standardize": draw(st.sampled_from(["none", "sample", "feature"]))}
    if name != "linear":
        shared |= {"activation": draw(ACTIVATIONS), "tied_weights": draw(st.booleans())}
        if shared["standardize"] == "none" and draw(st.booleans()):
            shared |= {"output_activation": "sigmoid", "loss": draw(st.sampled_from(["mse", "bce"]))}
        elif name == "stacked_denoising":
            shared |= {"output_activation": "linear", "loss": "mse"}
    if name == "deep":
        shared |= {"code_activation": draw(ACTIVATIONS), "biases": draw(st.booleans())}
    if name == "stacked_denoising":
        # Cross-entropy compares with the codes of the layer below, which must then be probabilities.
        activation = "sigmoid" if shared["loss"] == "bce" else shared["activation"]
        shared |= {"activation": activation, "code_activation": draw(ACTIVATIONS), "fine_tuning": "reconstruction"}
    shared["loss_reduction"] = draw(st.sampled_from(["mean", "sum"]))
    shared["penalty_reduction"] = draw(st.sampled_from(["mean", "sum"]))
    return shared


@st.composite
def members_settings(draw: st.DrawFn, shared: dict[str, Any], n_hidden: int, optimizer: str) -> Trial:
    """The settings of a single member."""
    own: dict[str, Any] = {
        "noise": {
            "kind": draw(st.sampled_from(["masking", "gaussian", "salt_and_pepper"])),
            "level": draw(LEVELS),
        },
        "weight_l1": draw(st.sampled_from([0.0, 0.01])),
        "weight_l2": draw(st.sampled_from([0.0, 0.01])),
    }
    training = {"learning_rate": draw(RATES), "seed": draw(st.integers(0, 3))}
    if optimizer == "sgd":
        training["momentum"] = draw(MOMENTA)
    if shared["name"] != "linear":
        own["hidden_l1"] = draw(st.sampled_from([0.0, 0.01]))
    if shared["name"] == "shallow":
        own["hidden_size"] = draw(SIZES)
    if shared["name"] == "deep":
        own |= {"hidden_sizes": draw(st.tuples(*[SIZES] * n_hidden)), "code_size": draw(SIZES)}
    if shared["name"] == "stacked_denoising":
        # Few sizes: the layers above train together where their inputs have as many features.
        own["hidden_sizes"] = draw(st.tuples(*[st.integers(2, 3)] * max(n_hidden, 1)))
        own["noise"]["level"] = draw(st.tuples(*[LEVELS] * max(n_hidden, 1)))
        own["pretraining"] = {"epochs": 3, "optimizer": optimizer, "learning_rate": draw(RATES)}
        if optimizer == "sgd":
            own["pretraining"]["momentum"] = draw(MOMENTA)
    return shared | own, training


@st.composite
def packs(draw: st.DrawFn) -> list[Trial]:
    shared = draw(architectures())
    common = {"optimizer": draw(st.sampled_from(["adam", "sgd"])), "schedule": draw(st.sampled_from(SCHEDULES))}
    member_settings = members_settings(shared, draw(st.integers(0, 2)), common["optimizer"])
    trials = draw(st.lists(member_settings, min_size=2, max_size=4))
    return [(model, common | training) for model, training in trials]


SCHEDULES = ["constant", "cosine"]


def phases(trial: Trial, dtype: torch.dtype = torch.float64) -> list[Phase]:
    model, training = trial
    config = CONFIGS.validate_python(model)
    built = build_phases(
        config, TrainingConfig(**training), input_size=INPUTS.shape[1], n_classes=None, statistics=STATISTICS
    )
    for phase in built:
        phase.member.to(dtype)
    return built


def member(trial: Trial, dtype: torch.dtype = torch.float64) -> Member:
    (phase,) = phases(trial, dtype)
    return phase.member


@torch.no_grad()
def inputs_of(phase: Phase, inputs: Tensor) -> Tensor:
    return inputs if phase.inputs is None else phase.inputs(inputs)


def assert_close(a: Member, b: Member, tolerance: float) -> None:
    """Equal to `tolerance` of each tensor's size."""
    assert a.error is None
    assert b.error is None
    for (name, first), second in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert (first - second).norm() <= tolerance * max(float(second.norm()), 1e-6), name
    assert a.metrics == pytest.approx(b.metrics, rel=tolerance, abs=1e-12)


class MemberBatches:
    """A batch for each member, with the tensors of the wrapped batches."""

    def __init__(self, batches: Any) -> None:
        self.batches = batches
        self.sampler, self.batch_sampler = batches, None  # where Lightning looks for set_epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Batch]]:
        for tensors in self.batches:
            yield [[own] for own in tensors]


@pytest.fixture
def stack_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of networks in each attempted step of a stack."""
    step, sizes = Stack.step, []

    def noted(self: Stack, *given: Any) -> Tensor:
        sizes.append(len(self.trainees))
        return step(self, *given)

    monkeypatch.setattr(Stack, "step", noted)
    return sizes


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-5), (torch.float32, 5e-3)])
@pytest.mark.parametrize("stacks", [True, False])
def test_a_packed_member_trains_as_it_would_alone(  # type: ignore[no-untyped-def]
    fit, batches, stack_sizes, dtype, tolerance, stacks
) -> None:
    inputs = INPUTS.to(dtype)

    @settings(max_examples=25 if stacks else 8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(trials=packs())
    def agrees(trials: list[Trial]) -> None:
        member_settings = [phases(trial, dtype) for trial in trials]
        settings_alone = [phases(trial, dtype) for trial in trials]
        for packed, alone in zip(zip(*member_settings, strict=True), zip(*settings_alone, strict=True), strict=True):
            own_inputs = [inputs_of(phase, inputs) for phase in packed]
            train = (
                batches(inputs, size=16) if packed[0].inputs is None else MemberBatches(batches(*own_inputs, size=16))
            )
            valid = batches(inputs, shuffle=False) if packed[0].member.validation else None
            stack_sizes.clear()
            fit([phase.member for phase in packed], train, valid, epochs=3, stacks=stacks)
            sizes = Counter(own.shape[1] for own in own_inputs).values()
            in_stacks = sorted(size for size in sizes if stacks and size > 1)
            assert sorted(stack_sizes) == sorted(in_stacks * 9), "all of them in each of three epochs' three steps"
            for of, other in zip(packed, alone, strict=True):
                fit(other.member, batches(inputs_of(other, inputs), size=16), valid, epochs=3)
                assert_close(of.member, other.member, tolerance if stacks else 0.0)

    agrees()


def shallow(hidden_size: int = 3, **own: Any) -> Trial:
    training = {name: own.pop(name) for name in ("learning_rate", "optimizer", "momentum") if name in own}
    return {"name": "shallow", "hidden_size": hidden_size, "activation": "sigmoid", **own}, training


def test_members_of_one_architecture_share_a_stack_and_others_train_individually() -> None:
    trained = [
        member(trial)
        for trial in (
            shallow(2),
            shallow(5, noise={"level": 0.1}, weight_l1=0.1, learning_rate=0.1),
            shallow(3, tied_weights=True),
            shallow(3, optimizer="sgd"),
            shallow(3, loss_reduction="sum"),
        )
    ]
    trainees = [Trainee(k, of, of.torch_optimizer()) for k, of in enumerate(trained)]
    groups = [[trainee.index for trainee in group] for group in alike(trainees, stacks=True)]
    assert groups == [[0, 1], [2], [3], [4]]


@pytest.mark.parametrize("name", ["linear", "shallow", "deep", "stacked_denoising"])
def test_members_share_no_stack_when_only_one_standardises_its_inputs(name: str) -> None:
    model: dict[str, Any] = {"name": name, "output_activation": "linear", "loss": "mse"}
    if name == "stacked_denoising":
        model |= {"fine_tuning": "reconstruction"}
    trained = [phases((model | {"standardize": of}, {}))[-1].member for of in ("none", "sample", "none", "feature")]
    trainees = [Trainee(k, of, of.torch_optimizer()) for k, of in enumerate(trained)]
    groups = [[trainee.index for trainee in group] for group in alike(trainees, stacks=True)]
    assert groups == [[0, 2], [1], [3]]


def test_a_diverging_member_leaves_without_affecting_the_others(fit, batches) -> None:  # type: ignore[no-untyped-def]
    trials = [shallow(4), shallow(5, learning_rate=1e200), shallow(3)]
    packed = [member(trial) for trial in trials]
    fit(packed, batches(INPUTS.double()), batches(INPUTS.double(), shuffle=False), epochs=3, stacks=True)
    assert "must stay finite" in str(packed[1].error)
    for k in (0, 2):
        alone = member(trials[k])
        fit(alone, batches(INPUTS.double()), batches(INPUTS.double(), shuffle=False), epochs=3)
        assert_close(packed[k], alone, 1e-5)


def test_a_raising_member_leaves_without_affecting_the_others(fit, batches) -> None:  # type: ignore[no-untyped-def]
    class BrokenValidation(Validation):
        def update(self, batch: Batch) -> None:
            raise RuntimeError("broken")

    packed = [member(shallow(4)) for _ in range(3)]
    packed[1].validation = BrokenValidation(packed[1].network, Noise())
    fit(packed, batches(INPUTS.double()), batches(INPUTS.double(), shuffle=False), epochs=3, stacks=True)
    assert [str(of.error) for of in packed] == ["None", "broken", "None"]
    assert packed[0].metrics == pytest.approx(packed[2].metrics)


def test_a_finished_member_stops_training(fit, batches) -> None:  # type: ignore[no-untyped-def]
    packed = [member(shallow(4)) for _ in range(2)]

    class EndTheFirst(lightning.Callback):
        def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
            packed[0].is_over = True

    fit(packed, batches(INPUTS.double()), epochs=3, stacks=True, callbacks=[EndTheFirst()])
    for of, n_epochs in zip(packed, (1, 3), strict=True):
        alone = member(shallow(4))
        fit(alone, batches(INPUTS.double()), epochs=n_epochs)
        assert_close(of, alone, 1e-5)


def test_an_error_in_a_stack_ends_its_members_as_individual_errors_would(fit, batches, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def broken(*_: Any) -> Tensor:
        raise RuntimeError("broken")

    monkeypatch.setattr(Stack, "step", broken)
    packed = [member(trial) for trial in (shallow(4), shallow(3, tied_weights=True), shallow(3))]
    fit(packed, batches(INPUTS.double()), epochs=2, stacks=True)
    assert [str(of.error) for of in packed] == ["broken", "None", "broken"]
    alone = member(shallow(3, tied_weights=True))
    fit(alone, batches(INPUTS.double()), epochs=2)
    assert_close(packed[1], alone, 1e-5)


def test_a_stack_that_exceeds_memory_is_split(fit, batches, monkeypatch, caplog) -> None:  # type: ignore[no-untyped-def]
    trials = [shallow(size, noise={"level": 0.2}) for size in (2, 3, 4, 5, 3)]
    step, sizes = Stack.step, []

    def at_most_two(self: Stack, *given: Any) -> Tensor:
        if len(self.trainees) > 2:
            raise torch.OutOfMemoryError
        sizes.append(len(self.trainees))
        return step(self, *given)

    monkeypatch.setattr(Stack, "step", at_most_two)
    packed, alone = [member(trial) for trial in trials], [member(trial) for trial in trials]
    fit(packed, batches(INPUTS.double()), epochs=2, stacks=True)
    fit(alone, batches(INPUTS.double()), epochs=2)
    assert set(sizes) == {2}
    logged = [record.getMessage() for record in caplog.records if record.name == "sweeps.models.training.learners"]
    assert [message.split(" (")[0] for message in logged] == [
        f"Out of memory: splitting a stack of {n} networks in halves" for n in (5, 3)
    ]
    for of, other in zip(packed, alone, strict=True):
        assert_close(of, other, 1e-5)


class LimitedMemory(TorchDispatchMode):
    """Allow `n_tensors` allocations and raise on the next."""

    def __init__(self, n_tensors: int) -> None:
        super().__init__()
        self.n_remaining = n_tensors

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(returned.alias_info is None for returned in func._schema.returns):  # neither a view nor in place
            self.n_remaining -= 1
        if self.n_remaining == -1:
            raise torch.OutOfMemoryError
        return func(*args, **(kwargs or {}))


OPTIMIZERS = [{"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.9}]


@pytest.mark.parametrize("member_settings", OPTIMIZERS)
def test_an_update_that_exceeds_memory_is_applied_once(fit, batches, monkeypatch, member_settings) -> None:  # type: ignore[no-untyped-def]
    trials = [shallow(size, noise={"level": 0.2}, learning_rate=1e-2, **member_settings) for size in (2, 3, 4)]
    alone = [member(trial) for trial in trials]
    fit(alone, batches(INPUTS.double(), size=16), epochs=2)
    kind = StackedAdam if member_settings["optimizer"] == "adam" else StackedSGD
    update = kind.step

    def trained(n_tensors: int) -> tuple[list[Member], int]:
        """Members of a pack that runs out of memory in its second update, and how many updates were started."""
        n_updates = 0

        def short(self: Any, *given: Any) -> None:
            nonlocal n_updates
            n_updates += 1
            with LimitedMemory(n_tensors) if n_updates == 2 else nullcontext():
                update(self, *given)

        monkeypatch.setattr(kind, "step", short)
        packed = [member(trial) for trial in trials]
        fit(packed, batches(INPUTS.double(), size=16), epochs=2, stacks=True)
        return packed, n_updates

    _, n_undivided = trained(10**6)
    for n_tensors in count():
        packed, n_updates = trained(n_tensors)
        for of, other in zip(packed, alone, strict=True):
            assert_close(of, other, 1e-5)
        if n_updates == n_undivided:
            break
    assert n_tensors > 0


@pytest.mark.parametrize("member_settings", OPTIMIZERS)
def test_a_stack_that_cannot_be_built_is_split(fit, batches, stack_sizes, monkeypatch, member_settings) -> None:  # type: ignore[no-untyped-def]
    trials = [shallow(size, noise={"level": 0.2}, **member_settings) for size in (2, 3, 4)]
    alone = [member(trial) for trial in trials]
    fit(alone, batches(INPUTS.double()), epochs=2)
    make = Stack.__init__

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(n_tensors=st.integers(0, 35))
    @example(n_tensors=5)  # in the middle of the first optimizer's state
    def agrees(n_tensors: int) -> None:
        def short(self: Stack, trainees: Sequence[Trainee]) -> None:
            with LimitedMemory(n_tensors) if len(trainees) == 3 else nullcontext():
                make(self, trainees)

        monkeypatch.setattr(Stack, "__init__", short)
        packed = [member(trial) for trial in trials]
        stack_sizes.clear()
        fit(packed, batches(INPUTS.double()), epochs=2, stacks=True)
        assert set(stack_sizes) == {2}
        for of, other in zip(packed, alone, strict=True):
            assert_close(of, other, 1e-5)

    agrees()


def test_a_stack_is_freed_before_its_members_are_restacked(fit, batches, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    make, step = Stack.__init__, Stack.step
    made: list[tuple[int, weakref.ref[Stack]]] = []

    def noted(self: Stack, trainees: Sequence[Trainee]) -> None:
        living = [of() for _, of in made]
        assert not {t.index for of in living if of for t in of.trainees} & {t.index for t in trainees}
        make(self, trainees)
        made.append((len(trainees), weakref.ref(self)))

    def at_most_three(self: Stack, *given: Any) -> Tensor:
        if len(self.trainees) > 3:
            raise torch.OutOfMemoryError
        return step(self, *given)

    monkeypatch.setattr(Stack, "__init__", noted)
    monkeypatch.setattr(Stack, "step", at_most_three)
    packed = [member(shallow(size)) for size in (2, 3, 4, 5)] + [member(shallow(3, learning_rate=1e200))]
    fit(packed, batches(INPUTS.double()), epochs=3, stacks=True)
    assert [of.error is None for of in packed] == [True] * 4 + [False]
    assert [size for size, _ in made] == [5, 2, 3, 4, 2, 2]  # after one has diverged, the others form a new stack


def test_memory_of_a_member_that_ran_out_of_it_is_freed(fit, batches, monkeypatch, caplog) -> None:  # type: ignore[no-untyped-def]
    packed = [member(shallow(4)), member(shallow(3, tied_weights=True))]
    held: list[weakref.ref[Tensor]] = []

    def short(self: Alone, *_: Any) -> Tensor:
        if self.trainees[0].index == 1:
            return step(self, *_)
        activations = torch.zeros(10**6)
        held.append(weakref.ref(activations))
        try:
            raise torch.OutOfMemoryError("first")
        except torch.OutOfMemoryError as error:
            raise torch.OutOfMemoryError("second") from error

    step = Alone.step
    monkeypatch.setattr(Alone, "step", short)
    fit(packed, batches(INPUTS.double()), epochs=2)
    assert [str(of.error) for of in packed] == ["second", "None"]
    assert [of() for of in held] == [None]
    (logged,) = [record.getMessage() for record in caplog.records if record.name == "sweeps.models.training.member"]
    assert 'raise torch.OutOfMemoryError("second") from error' in logged


def test_a_fit_ends_when_all_members_have_stopped(fit, batches) -> None:  # type: ignore[no-untyped-def]
    packed = [member(shallow(3, learning_rate=1e200)) for _ in range(2)]
    assert fit(packed, batches(INPUTS.double()), epochs=9).current_epoch == 1
