"""A plug-in for Lightning on the cluster's hosts: it counts the epochs that are trained, apart from what the sweep
records of them, and holds trials at an epoch for as long as a file says so.
"""

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning

FOLDER = Path(os.environ.get("EPOCHS_FOLDER", "."))


def is_held(point: str, epoch: int) -> bool:
    """Whether the file tells a point to wait at this epoch."""
    try:
        hold = json.loads((FOLDER / "hold").read_text())
    except FileNotFoundError:
        return False
    return bool(epoch >= hold["epoch"] and point not in hold["free"])


class CountEpochs(lightning.Callback):
    """Writes a line for each trained epoch of each point: the point, the epoch, the host."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        epoch = trainer.current_epoch + 1
        for recorder in next(callback.recorders for callback in trainer.callbacks if hasattr(callback, "recorders")):
            point = recorder.folder.point_id
            line = json.dumps([recorder.folder.sweep.id, point, epoch, platform.node()])
            with (FOLDER / "epochs").open("a") as file:
                file.write(f"{line}\n")
            while is_held(point, epoch):
                time.sleep(0.05)


def callbacks() -> list[lightning.Callback]:
    return [CountEpochs()]
