"""On the cluster: runs a sweep's driver, and starts one that was lost again, so that it goes on with the sweep."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from sweeps.config.yaml_file import parse_document
from sweeps.errors import SweepError
from sweeps.storage.layout import SweepFolder, home, storage
from sweeps.tracking.background import DELIVERY_PATIENCE_OF_A_JOB_SECONDS, DELIVERY_VARIABLE
from sweeps.tracking.results import load_result

MAX_RESTARTS = 3
RESTART_PAUSE_SECONDS = 5.0
# Done; bad input; done, but some trials failed; interrupted: another start would come to the same.
FINAL = (0, 2, 3, 130)
SUCCESSFUL = (0, 3)


def supervise(sweep_id: str, arguments: Sequence[str]) -> int:
    """Give `arguments` to the command line until the sweep has come to an end; give the job's exit status.

    A driver that dies is started again, MAX_RESTARTS times, to resume the sweep. The job has succeeded also where some
    trials failed.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        tell("MLFLOW_TRACKING_URI must be set on the cluster, in the environment of its Ray processes")
        return 2
    folder = SweepFolder(storage() / "sweeps" / sweep_id)
    driver = Driver()
    command = [*arguments, *_data_settings(Path("sweep.yaml"))] if arguments[0] == "run" else list(arguments)
    for n_restarts in range(MAX_RESTARTS + 1):
        status = driver.run(command)
        if driver.is_stopped or not _wants_restart(folder, status):
            break
        if n_restarts < MAX_RESTARTS:
            tell(f"the driver ended with status {status}: start {n_restarts + 1} of {MAX_RESTARTS} to go on")
            time.sleep(RESTART_PAUSE_SECONDS)
            if driver.is_stopped:
                break
            command = ["resume", sweep_id] if folder.is_sweep else command
    else:
        tell(f"the driver ended with status {status} once more: `sweeps resume {sweep_id}` goes on with the sweep")
    return 0 if status in SUCCESSFUL else max(status, 1)


def tell(line: str) -> None:
    """A line of the job's log that `sweeps status` shows."""
    print(f"sweeps: {line}", flush=True)


class Driver:
    """The process that runs the sweep. Whoever stops the job signals this process and that one."""

    def __init__(self) -> None:
        self.is_stopped = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def run(self, arguments: Sequence[str]) -> int:
        """Run the command line to its end and give its exit status; a signal that ended it is negative."""
        command = [sys.executable, "-m", "sweeps", *arguments, "--log", "--json"]
        patience = {DELIVERY_VARIABLE: str(DELIVERY_PATIENCE_OF_A_JOB_SECONDS)}
        return subprocess.run(command, check=False, env=patience | os.environ | {"PYTHONUNBUFFERED": "1"}).returncode

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.is_stopped = True


def _wants_restart(folder: SweepFolder, status: int) -> bool:
    """Whether a driver that ended so has left something to train; without a journal it has done nothing yet."""
    if status in FINAL:
        return False
    try:
        result = load_result(folder)
    except (SweepError, OSError):
        return True
    return result.n_ended < result.config.n_trials


def _data_settings(sweep_file: Path) -> list[str]:
    """Put arrays that were shipped where every host of the cluster and every later job finds them; `--set` for each."""
    settings = []
    data = parse_document(sweep_file.read_text(), str(sweep_file)).get("data", {})
    for key in ("path", "labels_path"):
        shipped = data.get(key) if isinstance(data, dict) else None
        if isinstance(shipped, str) and shipped.startswith("sweeps_data_"):
            settings += ["--set", f"data.{key}={_kept(Path(shipped))}"]
    return settings


def _kept(shipped: Path) -> Path:
    """The array in the folder of cached data, by its digest; the same array is kept once."""
    source = next(Path(entry) / shipped for entry in sys.path if (Path(entry) / shipped).is_file())
    target = home() / "data" / "arrays" / shipped.parent.name.removeprefix("sweeps_data_") / shipped.name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        shutil.copyfile(source, partial)
        partial.replace(target)
    return target
