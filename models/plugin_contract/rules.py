"""The rules of the contract of plug-in networks. Each is a function of a `Subject`, named as what must hold.

A rule returns what was seen, or None; it raises PluginError if it does not hold, and Skipped if it need not.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sweeps.models import saved_network
from sweeps.models.config import NetworkSettings
from sweeps.models.errors import ModelError
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.plugin import PluginNetwork
from sweeps.models.networks.seeds import seeded_generator
from sweeps.models.plugin_contract.subject import Skipped, Subject
from sweeps.models.torch_export import exported
from sweeps.models.training.losses import loss_of, reconstruction_loss
from sweeps.models.training.own_draws import OwnDraws
from sweeps.models.training.penalties import hidden_l1
from sweeps.models.training.trial_pack import why_not_packed
from sweeps.plugin_import import PluginError

# Sums over a batch round in another order than those over one sample.
_RELATIVE, _ABSOLUTE = 1e-4, 1e-5


def it_builds(subject: Subject) -> str:
    """Require a constructor that takes the settings and the shape."""
    n_parameters = sum(parameter.numel() for parameter in subject.network.parameters())
    if n_parameters == 0:
        raise PluginError("it must have parameters to train, and has none")
    return f"{n_parameters:,} parameters"


def its_output_has_the_right_shape(subject: Subject) -> str:
    """Require logits like the input, and a code of the same size for batches of any size."""
    with torch.no_grad():
        sizes = {subject.network(subject.samples[:n]).code.shape[1] for n in (1, 2, len(subject.samples))}
    if len(sizes) > 1:
        raise PluginError(f"the code must have one size, and has {' or '.join(map(str, sorted(sizes)))} units")
    if subject.section.weight_l1 + subject.section.weight_l2 > 0:
        _need_weights(subject.network)
    return f"a code of {sizes.pop()} units"


def its_output_is_finite(subject: Subject) -> None:
    """Require finite values for finite samples."""
    activations = subject.network(subject.samples)
    for name, tensor in (("logits", activations.logits), ("code", activations.code)):
        if not bool(tensor.isfinite().all()):
            raise PluginError(f"{name} must be finite for samples in [0, 1]: check divisions, logarithms and weights")


def its_seed_decides_its_initial_weights(subject: Subject) -> None:
    """Require that the constructor draws from PyTorch's generator alone."""
    one, again, other = subject.build(1).state_dict(), subject.build(1).state_dict(), subject.build(2).state_dict()
    if not all(torch.equal(one[name], again[name]) for name in one):
        raise PluginError("training.seed must decide the initial weights: draw them with torch only")
    if all(torch.equal(one[name], other[name]) for name in one):
        raise PluginError("the initial weights must differ between seeds: do not call torch.manual_seed")


def each_parameter_gets_a_gradient(subject: Subject) -> str | None:
    """Require that the loss depends on each parameter that is not frozen."""
    network = subject.build()
    network.train_module(True)
    loss = reconstruction_loss(network(subject.samples), subject.samples, loss_of(subject.section))
    loss.backward()  # type: ignore[no-untyped-call]
    named = {name.removeprefix("module."): parameter for name, parameter in network.named_parameters()}
    frozen = [name for name, parameter in named.items() if not parameter.requires_grad]
    idle = [name for name, parameter in named.items() if parameter.grad is None and name not in frozen]
    if idle:
        raise PluginError(f"the loss must depend on {', '.join(idle)}: use it in forward, or remove it")
    broken = [name for name, p in named.items() if p.grad is not None and not bool(p.grad.isfinite().all())]
    if broken:
        raise PluginError(f"the gradient of {', '.join(broken)} must be finite")
    return f"frozen: {', '.join(frozen)}" if frozen else None


def its_penalties_apply(subject: Subject) -> str:
    """Require weights to penalise, and hidden activations through which `hidden_l1` reaches the encoder."""
    network = subject.build()
    _need_weights(network)
    hidden = network(subject.samples).hidden
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    penalty = hidden_l1(hidden, "mean")
    reached = penalty.requires_grad and any(
        gradient is not None and bool(gradient.abs().sum() > 0)
        for gradient in torch.autograd.grad(penalty, parameters, allow_unused=True)
    )
    if not reached:
        raise PluginError("model.hidden_l1 must reach the encoder: do not detach the code or the hidden activations")
    return f"weights: {len(network.weights())}, hidden layers: {len(hidden)}"


def evaluation_is_deterministic(subject: Subject) -> None:
    """Require the same output for the same samples in evaluation mode."""
    with torch.no_grad():
        one, again = subject.network(subject.samples), subject.network(subject.samples)
    if not (torch.equal(one.logits, again.logits) and torch.equal(one.code, again.code)):
        raise PluginError("two evaluations must agree: draw at random only if self.training")


def a_sample_does_not_depend_on_its_batch(subject: Subject) -> None:
    """Require that scoring gives a sample the same output whatever is scored with it."""
    with torch.no_grad():
        whole = subject.network(subject.samples)
        for number in range(len(subject.samples)):
            alone = subject.network(subject.samples[number : number + 1])
            for one, other in ((whole.logits[number], alone.logits[0]), (whole.code[number], alone.code[0])):
                if not torch.allclose(one, other, rtol=_RELATIVE, atol=_ABSOLUTE):
                    raise PluginError(
                        "a sample's output must not depend on its batch in evaluation mode: use statistics of training"
                    )


def training_draws_depend_on_the_seed_alone(subject: Subject) -> None:
    """Require that dropout and the like draw from PyTorch's generators."""
    network = subject.build()
    start = copy.deepcopy(network.state_dict())
    outputs = []
    for _ in range(2):
        network.load_state_dict(start)
        draws = OwnDraws(network)
        draws.start_epoch(seeded_generator(1))
        with draws():
            outputs.append(network(subject.samples).logits)
        draws.finish_epoch()
    if not torch.equal(outputs[0], outputs[1]):
        raise PluginError("training with one seed must draw the same: draw with torch only, and keep no other state")


def it_is_saved_and_loaded_exactly(subject: Subject) -> None:
    """Require that the tensors of `state_dict` are all that a trained network is."""
    network = subject.build()
    network.train_module(True)
    network(subject.samples)  # may change buffers
    network.train_module(False)
    loaded = saved_network.read(_Content(saved_network.dumps(subject.section, network)), subject.section.name).network
    with torch.no_grad():
        if not torch.equal(network(subject.samples).logits, loaded(subject.samples).logits):
            raise PluginError(
                "a loaded network must give the same output: keep all of its state in parameters and buffers"
            )


def it_can_be_copied(subject: Subject) -> None:
    """Require that `copy.deepcopy` gives a network of its own."""
    network = subject.build()
    copied = copy.deepcopy(network)
    with torch.no_grad():
        before = network(subject.samples).logits
        if not torch.equal(before, copied(subject.samples).logits):
            raise PluginError("a copy must give the same output")
        for parameter in network.parameters():
            parameter.zero_()
        if not torch.equal(before, copied(subject.samples).logits):
            raise PluginError("a copy must not share parameters: keep them only as attributes of modules")


def its_filters_can_be_shown(subject: Subject) -> str:
    """Require filters and encoder matrices of the right shape, if the module defines them."""
    filters, matrices = subject.network.first_layer_filters(), subject.network.encoder_weights()
    if filters is None:
        raise Skipped("no first_layer_filters(): figures and diagnoses of filters are left out")
    if filters.dim() != 2 or filters.shape[1] != subject.shape.n_features:
        raise PluginError(
            f"first_layer_filters must return (units, {subject.shape.n_features}), not {tuple(filters.shape)}: leave "
            "it out if the first layer has no such filters"
        )
    if any(matrix.dim() != 2 for matrix in matrices):
        raise PluginError("encoder_weights must return matrices (units, inputs)")
    return f"{len(filters)} filters"


def packing_problem(section: NetworkSettings, shape: SampleShape) -> str | None:
    """Return why networks of a section, for samples of a shape, cannot train as one; None if they can."""
    return why_not_packed(Subject(section, shape).objective())


def it_packs_with_itself(subject: Subject) -> None:
    """See whether several train as one; otherwise they train one by one."""
    reason = why_not_packed(subject.objective())
    if reason is not None:
        raise Skipped(f"trials train one by one: {reason}")


def it_can_be_exported(subject: Subject) -> None:
    """See whether `torch.export` takes it for batches of any size, as promotion needs."""
    try:
        outputs = exported(_Outputs(subject.network), subject.samples[:2])(subject.samples)
    except ModelError as error:
        raise Skipped(f"it cannot be promoted, because {error}") from error
    if not torch.allclose(outputs, subject.network(subject.samples).reconstruction, rtol=_RELATIVE, atol=_ABSOLUTE):
        raise Skipped("it cannot be promoted, because what torch.export returns gives another output")


RULES: tuple[Callable[[Subject], str | None], ...] = (
    it_builds,
    its_output_has_the_right_shape,
    its_output_is_finite,
    its_seed_decides_its_initial_weights,
    each_parameter_gets_a_gradient,
    its_penalties_apply,
    evaluation_is_deterministic,
    a_sample_does_not_depend_on_its_batch,
    training_draws_depend_on_the_seed_alone,
    it_is_saved_and_loaded_exactly,
    it_can_be_copied,
    its_filters_can_be_shown,
    it_packs_with_itself,
    it_can_be_exported,
)
# Without these nothing else can be seen.
NEEDED = (it_builds, its_output_has_the_right_shape, its_output_is_finite)


class _Outputs(nn.Module):
    """The reconstruction alone: what is exported must return tensors."""

    def __init__(self, network: PluginNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, samples: Tensor) -> Tensor:
        return self.network(samples).reconstruction  # type: ignore[no-any-return]


class _Content:
    """A file in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read_bytes(self) -> bytes:
        return self._content


def _need_weights(network: PluginNetwork) -> None:
    if not network.weights():
        raise PluginError(
            "weights() must return what model.weight_l1 and model.weight_l2 penalise, and returns nothing"
        )
