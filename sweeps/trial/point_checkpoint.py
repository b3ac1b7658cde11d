"""The checkpoint of one point: what Lightning restores, and the state of the point's recorder under `sweeps`."""

from typing import Any

from sweeps.models import tensor_file
from sweeps.models.errors import ModelError
from sweeps.storage import earlier_names
from sweeps.storage.layout import PointFolder
from sweeps.trial.recorder import Recorder


def read_checkpoint(folder: PointFolder) -> dict[str, Any]:
    """Read the last checkpoint of a point. Raises ModelError if the file is something else."""
    path = earlier_names.stored(folder.checkpoint) or folder.checkpoint
    checkpoint: dict[str, Any] = tensor_file.read(path, "a checkpoint")
    return checkpoint


def resume_from_checkpoint(recorder: Recorder) -> tuple[int, int]:
    """Restore a recorder and its network, and return the phase and the epoch that the checkpoint was saved after.

    Both are 0 if there is no checkpoint, or if it is that of another point that had this one's id before. Raises
    ModelError if the file is something else.
    """
    path = earlier_names.stored(recorder.folder.checkpoint)
    if path is None:
        return 0, 0
    try:
        state = read_checkpoint(recorder.folder)["sweeps"]
        if state["identity"] != recorder.log.identity:
            return 0, 0
        recorder.resume(state)
        return int(state["phase"]), int(state["epoch"])
    except ModelError as error:
        raise ModelError(f"{error}: run the sweep again") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path} must be a checkpoint of this trial, and holds something else: run the sweep again"
        ) from error
