"""Keep a sweep's report up to date while the sweep runs, and deliver it as an artifact of the parent run.

Another process makes the report, at low priority. Here a thread asks it, and records each changed report in the
journal, from which delivery takes it, with the importance of each setting as metrics of the parent run. If there is no
report, the sweep does not fail: a warning says why.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sweeps.config import SweepConfig
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import FigureRecord
from sweeps.tracking.mlflow.figures import REPORT_KIND
from sweeps.tracking.sweep_end import record_importances

# The name of the report in the sweep's folder, and in MLflow.
REPORT_NAME = "report.html"
# `off` in this variable makes no reports, whatever the sweep file says.
VARIABLE = "SWEEPS_REPORT"
INTERVAL_SECONDS = 30.0
# The first one comes early: a person looks soon, and the process has then imported what it needs at the end.
FIRST_SECONDS = 10.0
# How long the end of a sweep waits for its last report.
END_SECONDS, END_SECONDS_PER_TRIAL, MAX_END_SECONDS = 30.0, 0.01, 60.0

logger = logging.getLogger(__name__)


class ReportFailed(Exception):
    """There is no new report, for the reason that it says."""


@contextmanager
def keep_report(
    config: SweepConfig, folder: SweepFolder, journal: Journal, is_lost: Callable[[], bool]
) -> Iterator[None]:
    """Write and record the report now and then while the context lasts, and at its end.

    `is_lost` says whether another process has taken over the sweep, and with it its report.
    """
    if not config.figures.report or os.environ.get(VARIABLE) == "off":
        yield
        return
    keeper = _Keeper(folder, journal, is_lost)
    keeper.start()
    try:
        yield
    finally:
        keeper.finish(max(END_SECONDS, min(MAX_END_SECONDS, END_SECONDS + END_SECONDS_PER_TRIAL * config.n_trials)))


class _Keeper:
    def __init__(self, folder: SweepFolder, journal: Journal, is_lost: Callable[[], bool]) -> None:
        self._folder = folder
        self._journal = journal
        self._is_lost = is_lost
        self._finishing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)
        self._process: subprocess.Popen[str] | None = None
        # The last entry that the report covers, and how many entries were recorded for it.
        self._seen_id, self._n_own = 0, 0
        self._digest = ""
        self._has_warned = False
        self._is_late = False

    def start(self) -> None:
        self._thread.start()

    def finish(self, patience_seconds: float) -> None:
        """Write the last report; give up, with a warning, after `patience_seconds`."""
        self._finishing.set()
        self._thread.join(patience_seconds)
        if self._thread.is_alive():
            self._is_late = True
            self._warn(f"it took more than {patience_seconds:.0f} s at the end of the sweep")
        self._stop()

    def _run(self) -> None:
        seconds = FIRST_SECONDS
        while not self._finishing.wait(seconds):
            self._update()
            seconds = INTERVAL_SECONDS
        self._update()

    def _update(self) -> None:
        """Have the report written if the journal has grown, and record it if it has changed."""
        try:
            last_id, last_ms = self._journal.last_id(), self._journal.last_ms()
            if last_id == self._seen_id + self._n_own or self._is_late or self._is_lost():
                return
            answer = self._ask()
            self._seen_id, self._n_own = last_id, 0
            if answer["digest"] != self._digest and not self._is_late and not self._is_lost():
                # At the time of the last entry, so that this one alone changes nothing in the next report.
                self._journal.record_figure(None, FigureRecord(REPORT_NAME, REPORT_KIND, REPORT_NAME), last_ms)
                record_importances(self._journal, answer["importance"], answer["n_ended"], last_ms)
                self._n_own = 2 if answer["importance"] else 1
            self._digest = answer["digest"]
        except Exception as error:  # the sweep must not fail, nor its report in silence
            self._stop()
            if not self._is_late:
                self._warn(str(error) if isinstance(error, ReportFailed) else f"{type(error).__name__}: {error}")

    def _ask(self) -> dict[str, Any]:
        """Have the report written, and return the process's answer; ReportFailed if it was not."""
        if self._process is None or self._process.poll() is not None:
            self._process = _start(self._folder.id)
        assert self._process.stdin is not None, "it is a pipe"
        assert self._process.stdout is not None, "it is a pipe"
        self._process.stdin.write("write\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ReportFailed(f"its process ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ReportFailed(answer["error"])
        return answer

    def _stop(self) -> None:
        process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def _warn(self, reason: str) -> None:
        if not self._has_warned:
            logger.warning(
                "The report could not be made (%s): the sweep is not affected, and `sweeps report %s` makes it later",
                reason,
                self._folder.id,
            )
            self._has_warned = True


def _start(sweep_id: str) -> subprocess.Popen[str]:
    """Start the process with the import path of this one, and apart from the terminal: Ctrl-C must not end it."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "sweeps.analysis.report.worker", sweep_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
    )
