"""Train K networks of one architecture as one: parameters get a leading axis of K, and each operation covers all.

Hidden sizes may differ. Smaller layers are padded with units whose weights are 0 and whose outputs are masked, so that
they add nothing to losses and penalties, and get no gradient.
"""

import copy
from collections.abc import Hashable, Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from sweeps.models.networks.corruption import Noise, NoiseLevels, SharedDraws
from sweeps.models.networks.network import Batch, Layer, Network, TiedLayer
from sweeps.models.networks.plugin import PluginNetwork
from sweeps.models.training.losses import ReconstructionLoss, reconstruction_loss
from sweeps.models.training.member import Trainee, places
from sweeps.models.training.objectives import Reconstruction
from sweeps.models.training.own_draws import OwnDraws
from sweeps.models.training.penalties import Counts, Penalties, Reduction, hidden_l1, weight_l1, weight_l2
from sweeps.models.training.stacked_optimizers import StackedTensors, n_steps, stacked_optimizer


def architecture(trainee: Trainee) -> Hashable | None:
    """Return what the members of a stack share: all but sizes, penalties, rates and noise; None if it cannot stack."""
    objective = trainee.member.objective
    if not isinstance(objective, Reconstruction):
        return None
    return stack_kind(objective), type(trainee.optimizer), n_steps(trainee.optimizer)


def stack_kind(objective: Reconstruction) -> Hashable:
    """Return what the members of a stack share, apart from their optimizers."""
    network = objective.network
    if isinstance(network, PluginNetwork):
        return _plugin_architecture(network), objective.loss, objective.penalties.reduction
    layers = tuple((name, type(layer), layer.activation) for name, layer in _layers(network))
    return (
        type(network),
        network.input_size,
        network.preprocessing.standardization,
        network.preprocessing.fills_missing,
        layers,
        tuple(name for name, _ in _named_parameters(network)),
        objective.loss,
        objective.penalties.reduction,
    )


class Stack:
    """Trains members of one `architecture`; their own networks do not change until `finish`."""

    def __init__(self, trainees: Sequence[Trainee]) -> None:
        # Sorted by kind of noise, so that each kind is applied in one operation.
        self.trainees: Sequence[Trainee] = sorted(trainees, key=lambda trainee: _objective(trainee).noise.kind)
        self.places = places(self.trainees)
        self._objectives = [_objective(trainee) for trainee in self.trainees]
        networks = [objective.network for objective in self._objectives]
        parameters = [dict(_named_parameters(network)) for network in networks]
        self._tensors = {name: StackedTensors([of[name] for of in parameters]) for name in parameters[0]}
        self._leaves = {name: tensors.whole.requires_grad_() for name, tensors in self._tensors.items()}
        buffers = [dict(_own_buffers(network)) for network in networks]
        self._buffers = {name: StackedTensors([of[name] for of in buffers]) for name in buffers[0]}
        self._optimizer = stacked_optimizer([t.optimizer for t in self.trainees], list(self._leaves.values()))
        self._padding = _Padding(networks, self._like)
        self._loss = _PenalisedLoss(networks[0], self._objectives[0], self._padding.masks)
        self._coefficients = _coefficients([objective.penalties for objective in self._objectives], self._like)
        self._noise = _StackedNoise([objective.noise for objective in self._objectives], self._like)
        self._rates = torch.zeros(len(self.trainees))
        self._draws = OwnDraws(self._loss.network)

    @property
    def _like(self) -> Tensor:
        return next(iter(self._leaves.values()))

    def start_epoch(self, epoch: int, n_epochs: int, generator: torch.Generator) -> None:
        """Set the learning rates of an epoch, counted from 0; `generator` decides what a plug-in draws."""
        self._draws.start_epoch(generator)
        rates = [trainee.member.optimizer.rate(epoch, n_epochs) for trainee in self.trainees]
        self._rates = torch.tensor(rates, dtype=self._like.dtype, device=self._like.device)

    def step(self, batches: Sequence[Batch], draws: SharedDraws) -> Tensor:
        """Take a step of each, with `batches` indexed by member; return the losses before it, (trainees,)."""
        inputs = [batches[trainee.index][0] for trainee in self.trainees]
        shared = all(x is inputs[0] for x in inputs)
        clean = inputs[0] if shared else torch.stack(inputs)  # (batch, features) for all, or (K, batch, features)
        noisy = self._noisy(clean, inputs[0], draws)  # likewise
        tensors = self._leaves | {name: buffers.whole for name, buffers in self._buffers.items()}
        state = {f"network.{name}": tensor for name, tensor in tensors.items()} | self._padding.masks
        in_dims = (0, _axis(noisy), _axis(clean), 0, 0, 0)
        with self._draws():  # the same for each member, as if it trained by itself
            losses = vmap(self._loss_of, in_dims, randomness="same")(
                state, noisy, clean, self._coefficients, self._padding.n_weights, self._padding.n_units
            )  # (K,)
            # A member's loss depends on its own parameters only: one that is not finite spoils no other's gradient.
            gradients = list(torch.autograd.grad(losses.sum(), list(self._leaves.values())))
        with torch.no_grad():
            self._optimizer.step(gradients, self._rates)
        return losses.detach()

    def _noisy(self, clean: Tensor, like: Tensor, draws: SharedDraws) -> Tensor:
        preprocessing = self._objectives[0].network.preprocessing  # of the same training split for all
        if not (preprocessing.scales_features and self._noise.is_any):
            return self._noise.corrupt(clean, like, draws)
        scaled = preprocessing.scaled(clean)
        return preprocessing.unscaled(self._noise.corrupt(scaled, scaled if clean is like else like, draws))

    def _loss_of(self, state: Mapping[str, Tensor], *given: object) -> Tensor:
        loss: Tensor = functional_call(self._loss, dict(state), given)
        return loss

    @torch.no_grad()
    def finish(self) -> None:
        """Write the result to the members' own networks and optimizers."""
        for tensors in (*self._tensors.values(), *self._buffers.values()):
            tensors.write_back()
        self._optimizer.write_back()
        self._draws.finish_epoch()


class _PenalisedLoss(nn.Module):
    """The loss of one member of a stack, called with that member's parameters and masks by `functional_call`."""

    def __init__(self, network: Network, objective: Reconstruction, masks: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network: Network = copy.deepcopy(network)
        self.loss: ReconstructionLoss = objective.loss
        self.reduction: Reduction = objective.penalties.reduction
        for name, layer in _layers(self.network):
            if f"network.{name}.mask" in masks:
                layer.register_buffer("mask", None)
                layer.register_forward_hook(lambda layer, _, outputs: outputs * layer.mask)

    def forward(
        self, noisy: Tensor, clean: Tensor, coefficients: Mapping[str, Tensor], n_weights: Counts, n_units: Counts
    ) -> Tensor:
        """Return the loss as `Reconstruction.undoing` does, with padding excluded from means."""
        activations = self.network(noisy)
        loss = reconstruction_loss(activations, clean, self.loss)
        if "weight_l1" in coefficients:
            loss = loss + coefficients["weight_l1"] * weight_l1(self.network.weights(), self.reduction, n_weights)
        if "weight_l2" in coefficients:
            loss = loss + coefficients["weight_l2"] * weight_l2(self.network.weights(), self.reduction, n_weights)
        if "hidden_l1" in coefficients:
            loss = loss + coefficients["hidden_l1"] * hidden_l1(activations.hidden, self.reduction, n_units)
        return loss


class _Padding:
    """The padding in a stack of networks: `masks` (K, units) of the layers whose sizes differ, 0 for padding.

    `n_weights` and `n_units` count the entries that are not padding: (K,) for each weight matrix and each hidden layer.
    """

    def __init__(self, networks: Sequence[Network], like: Tensor) -> None:
        like = like.detach()
        sizes = {name: [dict(_layers(n))[name].n_units for n in networks] for name, _ in _layers(networks[0])}
        self.masks = {
            f"network.{name}.mask": _mask(of_each, like) for name, of_each in sizes.items() if len(set(of_each)) > 1
        }
        sample = like.new_zeros(1, networks[0].input_size)
        with torch.no_grad():
            hidden = [[layer.shape[1] for layer in network(sample).hidden] for network in networks]
        weights = [[weight.numel() for weight in network.weights()] for network in networks]
        self.n_weights = [torch.tensor(of, dtype=like.dtype, device=like.device) for of in zip(*weights, strict=True)]
        self.n_units = [torch.tensor(of, dtype=like.dtype, device=like.device) for of in zip(*hidden, strict=True)]


class _StackedNoise:
    """The corruption of each member; members are sorted by kind of noise."""

    def __init__(self, noises: Sequence[Noise], like: Tensor) -> None:
        self.is_any = any(noise.level > 0 for noise in noises)
        self._shared = noises[0] if len(set(noises)) == 1 else None
        self._levels = [
            NoiseLevels(kind, [noise.level for noise in of_kind], like)
            for kind, of_kind in groupby(noises, key=lambda noise: noise.kind)
        ]

    def corrupt(self, x: Tensor, like: Tensor, draws: SharedDraws) -> Tensor:
        """Return corrupted inputs (K, batch, features), or (batch, features) if inputs and noise are the same for all.

        `x` is (K, batch, features), or (batch, features) for all; `like`, (batch, features), is the inputs of one.
        """
        if self._shared is not None and x is like:
            return draws.corrupt(x, self._shared)
        parts = [x] * len(self._levels) if x is like else torch.split(x, [levels.n_levels for levels in self._levels])
        pieces = [
            levels.apply_draw(part, draws.drawn(like, levels.kind))
            for levels, part in zip(self._levels, parts, strict=True)
        ]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _axis(x: Tensor) -> int | None:
    """Return the axis of the members in inputs, for `vmap`; None if all share them."""
    return 0 if x.dim() == 3 else None


def _coefficients(penalties: Sequence[Penalties], like: Tensor) -> dict[str, Tensor]:
    """Return the coefficients, (K,) each, of the terms that are in use by any member."""
    values = {name: [getattr(of, name) for of in penalties] for name in ("weight_l1", "weight_l2", "hidden_l1")}
    return {
        name: torch.tensor(of_each, dtype=like.dtype, device=like.device)
        for name, of_each in values.items()
        if any(of_each)
    }


def _mask(sizes: Sequence[int], like: Tensor) -> Tensor:
    units = torch.arange(max(sizes), device=like.device)
    return (units < torch.tensor(sizes, device=like.device).unsqueeze(1)).to(like.dtype)


def _objective(trainee: Trainee) -> Reconstruction:
    objective = trainee.member.objective
    assert isinstance(objective, Reconstruction)
    return objective


def _layers(network: Network) -> list[tuple[str, Layer | TiedLayer]]:
    named: list[tuple[str, nn.Module]] = list(_module(network).named_modules())
    return [(name, part) for name, part in named if isinstance(part, (Layer, TiedLayer))]


def _plugin_architecture(network: PluginNetwork) -> Hashable:
    """Return what plug-in networks share that train as one: all settings but those of the penalties and the noise."""
    apart = {"noise", "weight_l1", "weight_l2", "hidden_l1"}
    settings = network.section.model_dump_json(exclude=apart)
    shapes = tuple((name, tensor.shape) for name, tensor in network.state_dict().items())
    return settings, network.shape, network.preprocessing.fills_missing, shapes


def _own_buffers(network: Network) -> list[tuple[str, Tensor]]:
    """Return the buffers of a plug-in's module, which training may change; of other networks, none."""
    if not isinstance(network, PluginNetwork):
        return []
    return [(f"module.{name}", buffer) for name, buffer in network.module.named_buffers()]


def _named_parameters(network: Network) -> list[tuple[str, nn.Parameter]]:
    return list(_module(network).named_parameters())


def _module(network: Network) -> nn.Module:
    assert isinstance(network, nn.Module)
    return network
