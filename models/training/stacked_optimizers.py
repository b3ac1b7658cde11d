"""Adam and gradient descent for the stacked parameters of K networks, each with its own learning rate."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


class StackedTensors:
    """K tensors as one: `whole` (K, *largest shape), padded with 0; `parts` are its views with each tensor's shape."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = [tensor.detach() for tensor in tensors]
        shape = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
        self.whole = tensors[0].new_zeros(len(tensors), *shape)
        self.parts = [self.whole[k][tuple(map(slice, tensor.shape))] for k, tensor in enumerate(tensors)]
        torch._foreach_copy_(self.parts, self._tensors)

    def write_back(self) -> None:
        """Copy each part to its original tensor."""
        torch._foreach_copy_(self._tensors, self.parts)


class StackedOptimizer(ABC):
    """Do what the K `optimizers` would do, starting from their state; `parameters` stack theirs."""

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer], parameters: list[Tensor]) -> None:
        self._optimizers = optimizers
        self._parameters = list(parameters)
        for optimizer in optimizers:
            self._complete(optimizer)
        self._state = {name: self._stacked(name) for name in self.state_names()}

    @abstractmethod
    def state_names(self) -> Sequence[str]:
        """Return the names of the state that an optimizer keeps for each parameter."""

    @abstractmethod
    def step(self, gradients: list[Tensor], rates: Tensor) -> None:
        """Update the parameters, (K, ...) each, by their gradients; `rates`, (K,), are learning rates."""

    def first_state(self, parameter: Tensor) -> dict[str, Tensor]:
        """Return the state of a parameter before the first step."""
        return {name: torch.zeros_like(parameter) for name in self.state_names()}

    def write_back(self) -> None:
        """Write the state to the K optimizers."""
        for tensors in self._state.values():
            for tensor in tensors:
                tensor.write_back()

    def _complete(self, optimizer: torch.optim.Optimizer) -> None:
        """Add missing state to an optimizer, all or none: it must be able to step if building the stack fails."""
        new = {
            parameter: self.first_state(parameter)
            for parameter in _parameters(optimizer)
            if any(optimizer.state[parameter].get(name) is None for name in self.state_names())
        }
        for parameter, state in new.items():
            optimizer.state[parameter].update(state)

    def _setting(self, name: str) -> Tensor:
        """Return a setting of each optimizer, (K,)."""
        values = [optimizer.param_groups[0][name] for optimizer in self._optimizers]
        return torch.tensor(values, dtype=self._parameters[0].dtype, device=self._parameters[0].device)

    def _stacked(self, name: str) -> list[StackedTensors]:
        """Return a state of each parameter, stacked over the optimizers."""
        of_each = zip(*(_parameters(optimizer) for optimizer in self._optimizers), strict=True)
        return [
            StackedTensors([opt.state[p][name] for opt, p in zip(self._optimizers, parameters, strict=True)])
            for parameters in of_each
        ]


class StackedAdam(StackedOptimizer):
    """Adam (Kingma and Ba 2015, algorithm 1) as `torch.optim.Adam` computes it."""

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer], parameters: list[Tensor]) -> None:
        super().__init__(optimizers, parameters)
        group = optimizers[0].param_groups[0]
        self._betas, self._eps = group["betas"], group["eps"]
        self._n_steps = n_steps(optimizers[0])

    def state_names(self) -> Sequence[str]:
        """Return the first and the second moment."""
        return ("exp_avg", "exp_avg_sq")

    def first_state(self, parameter: Tensor) -> dict[str, Tensor]:
        """Return moments of 0, and a count of 0 steps."""
        n_steps = torch.zeros((), dtype=torch.float32, device=parameter.device)
        return super().first_state(parameter) | {"step": n_steps}

    def step(self, gradients: list[Tensor], rates: Tensor) -> None:
        """Take one step."""
        first, second = ([tensor.whole for tensor in self._state[name]] for name in self.state_names())
        beta1, beta2 = self._betas
        # Allocate all memory before the first change: if there is none, no step is taken, rather than half of one.
        denominators, updates = ([torch.empty_like(tensor) for tensor in second] for _ in range(2))
        scales = _each(-rates / (1 - beta1 ** (self._n_steps + 1)), updates)
        self._n_steps += 1
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, value=1 - beta2)
        torch._foreach_copy_(denominators, second)
        torch._foreach_sqrt_(denominators)
        torch._foreach_div_(denominators, (1 - beta2**self._n_steps) ** 0.5)
        torch._foreach_add_(denominators, self._eps)
        torch._foreach_copy_(updates, first)
        torch._foreach_div_(updates, denominators)
        torch._foreach_mul_(updates, scales)
        torch._foreach_add_(self._parameters, updates)

    def write_back(self) -> None:
        """Write the state to the K optimizers, including the number of steps."""
        super().write_back()
        for optimizer in self._optimizers:
            for parameter in _parameters(optimizer):
                optimizer.state[parameter]["step"].fill_(self._n_steps)


class StackedSGD(StackedOptimizer):
    """Gradient descent as `torch.optim.SGD` computes it, with momentum if any of the optimizers has some."""

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer], parameters: list[Tensor]) -> None:
        super().__init__(optimizers, parameters)
        self._momentum = self._setting("momentum")

    def state_names(self) -> Sequence[str]:
        """Return the momentum buffer, if there is momentum."""
        return ("momentum_buffer",) if any(o.param_groups[0]["momentum"] for o in self._optimizers) else ()

    def step(self, gradients: list[Tensor], rates: Tensor) -> None:
        """Take one step."""
        # As with Adam: allocate before the first change.
        updates = [torch.empty_like(tensor) for tensor in self._parameters]
        directions = gradients
        if self._state:
            directions = [tensor.whole for tensor in self._state["momentum_buffer"]]
            torch._foreach_mul_(directions, _each(self._momentum, directions))
            torch._foreach_add_(directions, gradients)
        torch._foreach_copy_(updates, directions)
        torch._foreach_mul_(updates, _each(rates, updates))
        torch._foreach_sub_(self._parameters, updates)


def stacked_optimizer(optimizers: Sequence[torch.optim.Optimizer], parameters: list[Tensor]) -> StackedOptimizer:
    """Return the stacked counterpart of `optimizers`, which are of one kind."""
    kind = StackedAdam if isinstance(optimizers[0], torch.optim.Adam) else StackedSGD
    return kind(optimizers, parameters)


def n_steps(optimizer: torch.optim.Optimizer) -> int:
    """Return how many steps an optimizer has taken; 0 if it does not count them."""
    states = list(optimizer.state.values())
    return int(states[0]["step"]) if states and "step" in states[0] else 0


def _each(values: Tensor, tensors: Iterable[Tensor]) -> list[Tensor]:
    """Return `values` (K,) in the shape that multiplies each of `tensors`, (K, ...)."""
    return [values.view(-1, *(1 for _ in tensor.shape[1:])) for tensor in tensors]


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    parameters: list[Tensor] = optimizer.param_groups[0]["params"]
    return parameters
