"""Time before the first training step, by stage: `startup.py` runs four trials of the yardstick and prints it.

The command runs in this process, which notes the end of each stage; seconds count from the start of the process.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import psutil

from sweeps import config
from sweeps.cli.app import main as sweeps
from sweeps.cluster import session
from sweeps.cluster.tune import tuner as tuning

ended: dict[str, float] = {}


def ends(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function: its first return is the end of a stage."""

    @wraps(function)
    def noted(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        ended.setdefault(stage, time.time())
        return result

    return noted


def tuner(*arguments: Any) -> Any:
    """Make the Tuner of `sweeps.cluster.tune.tuner` with a callback that notes the ends of stages."""
    (callback,) = (argument for argument in arguments if hasattr(argument, "on_trial_result"))
    callback.on_trial_start = ends("workers import Ray Tune", callback.on_trial_start)
    callback.on_trial_result = ends("workers import torch and Lightning, take the data, draw", callback.on_trial_result)
    built = make_tuner(*arguments)
    ended["Tune is imported, PCA is there"] = time.time()
    return built


make_tuner = tuning.tuner


def main() -> None:
    """Print each stage with its seconds, as JSON, after the command's output."""
    vars(config)["load"] = ends("Python, this package, the sweep file", config.load)
    vars(session)["prepare"] = ends("Ray is imported", session.prepare)
    vars(session)["_start_local"] = ends("Ray's processes start; the data are read", vars(session)["_start_local"])
    vars(tuning)["tuner"] = tuner
    sys.argv = ["sweeps", "run", "yardstick", "--json", "--set=budget.trials=4", "--set=training.epochs=1"]
    try:
        sweeps()
    except SystemExit as done:
        if done.code:
            raise
    before, seconds = psutil.Process().create_time(), {}
    for stage, moment in ended.items():
        seconds[stage], before = moment - before, moment
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
