"""Networks as torch exports them: graphs of operators, which run without the code that they were traced from."""

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from sweeps.errors import reason_of
from sweeps.models.errors import ModelError

_MAX_REASON = 300


def exported(network: nn.Module, examples: Tensor) -> nn.Module:
    """Return a network as torch exports it, for batches of any size; `examples` are a batch of at least two samples.

    Raises ModelError, in one line, if torch does not export it, fits it to one size only, or if it uses operators that
    are no part of torch: whoever loads the export would need their package.
    """
    batch = torch.export.Dim("batch")
    try:
        module = torch.export.export(network.eval(), (examples,), dynamic_shapes=({0: batch},)).module()
    except Exception as error:  # of torch, or of a user's own code
        raise ModelError(f"torch.export raised {reason_of(error)[:_MAX_REASON]}") from error
    if foreign := _foreign_operators(module):
        raise ModelError(f"it uses operators that torch alone does not have: {', '.join(foreign)}")
    return module


def _foreign_operators(module: nn.Module) -> list[str]:
    graphs = [part.graph for part in module.modules() if isinstance(part, GraphModule)]
    targets = [node.target for graph in graphs for node in graph.nodes if node.op == "call_function"]
    found = [target for target in targets if isinstance(target, torch._ops.OpOverload) and target.namespace != "aten"]
    return sorted({str(target) for target in found})
