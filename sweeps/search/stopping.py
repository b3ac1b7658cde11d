"""What ended a trial's training: the tags that record it, and its name in rankings and in MLflow. Plain Python."""

from collections.abc import Mapping

# The tag of a run that was stopped early: the rule that stopped it.
STOPPED_EARLY = "sweeps.stopped_early"
# The tag of an ended run: what ended its training, as `stopped_by` names it.
STOPPED_BY = "sweeps.stopped_by"

ALL_EPOCHS = "all epochs"
INTERRUPTED = "interrupted"
DIVERGED = "diverged"
LOST_PROCESS = "lost process"
ERROR = "error"


def stopped_by(state: str, tags: Mapping[str, str]) -> str | None:
    """Name what ended the training of a point in `state`; None while it runs.

    A FINISHED point was ended by its last epoch ("all epochs"), by the rule that stopped it early ("asha", "patience"),
    or by a budget of the sweep ("budget.seconds", "budget.device_hours"). A FAILED one "diverged", had an "error", or
    was ended by a "lost process"; sweeps of earlier versions name every failure "error". A KILLED one was
    "interrupted".
    """
    match state:
        case "FINISHED":
            return tags.get(STOPPED_EARLY, ALL_EPOCHS)
        case "FAILED":
            return tags.get(STOPPED_BY, ERROR)
        case "KILLED":
            return INTERRUPTED
        case _:
            return None
