"""On the cluster: runs a sweep's driver, and restarts it if its process fails, so that it resumes the sweep."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from sweeps.cluster.jobs.submissions import LOG_PREFIX
from sweeps.config.yaml_file import parse_document
from sweeps.errors import SweepError
from sweeps.storage import layout
from sweeps.storage.layout import SweepFolder, home
from sweeps.storage.private_files import make_folder
from sweeps.tracking.background import DELIVERY_PATIENCE_OF_A_JOB_SECONDS, DELIVERY_VARIABLE
from sweeps.tracking.results import load_result

MAX_RESTARTS = 3
RESTART_PAUSE_SECONDS = 5.0
# Done; bad input; done, but some trials failed; interrupted: a restart would end the same way.
FINAL = (0, 2, 3, 130)
SUCCESSFUL = (0, 3)
# As `runtime_env` names what it sends: a digest and a file. The name leads out of no folder.
_SHIPPED = re.compile(r"sweeps_data_[0-9a-f]{1,64}/(?!\.\.?$)[^/\0\n]+")


def supervise(sweep_id: str, arguments: Sequence[str]) -> int:
    """Run the command line with `arguments` until the sweep has ended; return the job's exit status.

    A driver that fails is restarted up to MAX_RESTARTS times to resume the sweep. The job succeeds even if some trials
    failed.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        log_line("MLFLOW_TRACKING_URI must be set in the environment of the cluster's Ray processes")
        return 2
    folder = layout.at(sweep_id)
    driver = Driver()
    command = [*arguments, *_data_options(Path("sweep.yaml"))] if arguments[0] == "run" else list(arguments)
    for n_restarts in range(MAX_RESTARTS + 1):
        status = driver.run(command)
        if driver.is_stopped or not _wants_restart(folder, status):
            break
        if n_restarts < MAX_RESTARTS:
            log_line(f"the driver ended with status {status}: restarting driver ({n_restarts + 1}/{MAX_RESTARTS})")
            time.sleep(RESTART_PAUSE_SECONDS)
            if driver.is_stopped:
                break
            command = ["resume", sweep_id] if folder.is_sweep else command
    else:
        log_line(f"the driver ended with status {status}, no restarts left: continue with `sweeps resume {sweep_id}`")
    return 0 if status in SUCCESSFUL else max(status, 1)


def log_line(line: str) -> None:
    """Print a line to the job's log that `sweeps status` shows."""
    print(f"{LOG_PREFIX}{line}", flush=True)


class Driver:
    """The process that runs the sweep. Stopping the job signals both this process and that one."""

    def __init__(self) -> None:
        self.is_stopped = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def run(self, arguments: Sequence[str]) -> int:
        """Run the command line and return its exit status; negative if a signal ended it."""
        command = [sys.executable, "-m", "sweeps", *arguments, "--log", "--json"]
        patience = {DELIVERY_VARIABLE: str(DELIVERY_PATIENCE_OF_A_JOB_SECONDS)}
        return subprocess.run(command, check=False, env=patience | os.environ | {"PYTHONUNBUFFERED": "1"}).returncode

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.is_stopped = True


def _wants_restart(folder: SweepFolder, status: int) -> bool:
    """Return whether there is something left to train; without a journal, the driver has done nothing yet."""
    if status in FINAL:
        return False
    try:
        result = load_result(folder)
    except (SweepError, OSError):
        return True
    return result.n_ended < result.config.n_trials


def _data_options(sweep_file: Path) -> list[str]:
    """Move shipped arrays to where every host and later job finds them; return the options that set their paths."""
    options: list[str] = []
    data = parse_document(sweep_file.read_text(), str(sweep_file)).get("data", {})
    for key, shipped in data.items() if isinstance(data, dict) else ():
        if isinstance(shipped, str) and _SHIPPED.fullmatch(shipped):
            options += ["--set", f"data.{key}={_cache(Path(shipped))}"]
    return options


def _cache(shipped: Path) -> Path:
    """Copy an array to the folder of cached data under its digest, unless it is there; return its path."""
    source = next(Path(entry) / shipped for entry in sys.path if (Path(entry) / shipped).is_file())
    target = home() / "data" / "arrays" / shipped.parent.name.removeprefix("sweeps_data_") / shipped.name
    if not target.exists():
        make_folder(target.parent)
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        shutil.copyfile(source, partial)
        partial.replace(target)
    return target
