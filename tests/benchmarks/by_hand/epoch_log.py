"""A Lightning callback for every contestant's Trainer: append a line to the file EPOCH_LOG after each training epoch.

Lightning finds it by the entry point in `epoch_log-0.dist-info`, so that no contestant's code changes.
"""

import os
import time
from pathlib import Path

import pytorch_lightning as lightning


class EpochLog(lightning.Callback):
    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Append the time, and how many networks the epoch has trained: a pack of ours trains several at once."""
        with Path(os.environ["EPOCH_LOG"]).open("a") as log:
            log.write(f"{time.time()} {len(getattr(pl_module, 'in_training', [None]))}\n")


def callbacks() -> list[lightning.Callback]:
    """What the entry point names."""
    return [EpochLog()] if "EPOCH_LOG" in os.environ else []
