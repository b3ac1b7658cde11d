"""What the first layers of a stack are pre-trained by: trials that agree on it get the same layers. Plain Python."""

import json
from hashlib import sha256
from typing import Any

from sweeps.models.config import StackedDenoisingConfig


def prefix_digest(model: StackedDenoisingConfig, n_layers: int, *seeds: int) -> str:
    """SHA-256, in hex, of all that decides the first `n_layers` layers as their pre-training leaves them, but the data.

    `seeds` are those of the weights and of the random draws. What only later layers or fine-tuning depend on is left
    out; every other setting counts, also one that is added later.
    """
    written = json.dumps([_settings(model, n_layers), seeds], sort_keys=True)
    return sha256(written.encode()).hexdigest()


def _settings(model: StackedDenoisingConfig, n_layers: int) -> dict[str, Any]:
    apart = {"hidden_sizes", "noise", "code_activation", "fine_tuning", "pretraining"}
    pretraining, n_all = model.pretraining, len(model.hidden_sizes)
    level = model.noise.level
    levels = level if isinstance(level, tuple) else (level,) * n_all
    activations = (model.activation,) * (n_all - 1) + (model.code_activation or model.activation,)
    rates = (pretraining.learning_rate,) * (n_all - 1) + (pretraining.code_learning_rate or pretraining.learning_rate,)
    return {
        **model.model_dump(mode="json", exclude=apart),
        "pretraining": pretraining.model_dump(mode="json", exclude={"learning_rate", "code_learning_rate"}),
        # Untied, a layer's way back is drawn after all layers of the encoder.
        "hidden_sizes": model.hidden_sizes[:n_layers] if model.tied_weights else model.hidden_sizes,
        "noise": [model.noise.kind, *levels[:n_layers]],
        "activations": activations[:n_layers],
        "learning_rates": rates[:n_layers],
    }
