"""Identify a pretrained layer by the settings and seeds that decide it, so that trials can reuse it. Plain Python."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sweeps.models.config import StackedDenoisingConfig


def layer_digest(settings: Mapping[str, Any], *seeds: int) -> str:
    """Return the SHA-256, in hex, of a layer's `settings` and of the seeds of its weights and random draws.

    Two trials with the same digest get the same layer from the same data.
    """
    written = json.dumps([settings, seeds], sort_keys=True)
    return sha256(written.encode()).hexdigest()


def layer_settings(model: StackedDenoisingConfig, n_layers: int) -> dict[str, Any]:
    """Return all settings that decide the first `n_layers` layers as their pretraining leaves them.

    Settings that matter only to later layers or to fine-tuning are left out; every other one counts, including any that
    is added later.
    """
    apart = {"hidden_sizes", "noise", "code_activation", "fine_tuning", "pretraining"}
    pretraining, n_all = model.pretraining, len(model.hidden_sizes)
    activations = (model.activation,) * (n_all - 1) + (model.code_activation or model.activation,)
    return {
        **model.model_dump(mode="json", exclude=apart),
        "pretraining": pretraining.model_dump(mode="json", exclude={"learning_rate", "code_learning_rate"}),
        # If untied, a layer's decoder weights are drawn after all layers of the encoder.
        "hidden_sizes": model.hidden_sizes[:n_layers] if model.tied_weights else model.hidden_sizes,
        "noise": [model.noise.kind, *(model.noise.level_of(k) for k in range(n_layers))],
        "activations": activations[:n_layers],
        "learning_rates": [pretraining.rate_of(k, n_all)[0] for k in range(n_layers)],
    }
