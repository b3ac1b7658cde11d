"""A harness for fuzz tests: a case may only be refused by our own errors, within a time and a memory limit.

`fuzzed(strategy)` decorates a test of one case; SWEEPS_FUZZ_CASES is the number of cases, by default few.
`hold(case)` runs one case in this process, `hold_apart(code, *arguments)` in one of its own, whose memory is limited.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from sweeps.datamodules.arrays import DatasetError
from sweeps.errors import InputError, SweepError
from sweeps.models.errors import ModelError

CASES = int(os.environ.get("SWEEPS_FUZZ_CASES", "40"))
MAX_SECONDS = 5.0
MAX_BYTES = 2**30
# A machine that runs other tests takes longer than the case does.
_WALL_SECONDS = 12 * MAX_SECONDS
OUR_ERRORS = (SweepError, DatasetError, ModelError)


class TooSlow(BaseException):
    """A case took longer than its limit; no `except Exception` of the code under test catches it."""


def fuzzed(*strategies: SearchStrategy[Any], **named: SearchStrategy[Any]) -> Callable[[Any], Any]:
    """Run a test on SWEEPS_FUZZ_CASES cases of the strategies; a long run draws new cases each time."""
    is_long = "SWEEPS_FUZZ_CASES" in os.environ

    def decorate(test: Any) -> Any:
        limited = settings(
            max_examples=CASES,
            deadline=None,
            derandomize=not is_long,
            database=None,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        return limited(given(*strategies, **named)(test))

    return decorate


def hold(case: Callable[[], Any]) -> Any:
    """Return what a case returns, or the error of ours that it raises; any other error, a hang or a bomb fails."""
    before = _start_peak()
    started = time.process_time()
    with _time_limit():
        try:
            result = case()
        except OUR_ERRORS as error:
            result = error
            check_lines(error)
    seconds, grown = time.process_time() - started, _peak_bytes() - before
    assert seconds < MAX_SECONDS, f"the case took {seconds:.1f} s of CPU time"
    assert grown < MAX_BYTES, f"the case took {grown / 2**20:.0f} MiB"
    return result


def check_lines(error: Exception) -> None:
    """Assert that an error of ours has lines that a person can read: not empty, not endless, not thousands."""
    lines = list(error.issues) if isinstance(error, InputError) else str(error).splitlines()
    assert lines
    assert len(lines) <= 1000
    assert all(line.strip() and "\n" not in line and len(line) < 3000 for line in lines) or not isinstance(
        error, InputError
    )


def hold_apart(code: str, *arguments: str | Path, max_bytes: int = MAX_BYTES, **environment: str) -> str:
    """Run Python code in a process of its own; fail if it ends in a traceback, hangs, or its memory peaks too high.

    Of the memory, that of the imports is not counted: `code` calls `start()` when it has imported what it needs.
    Returns what the process printed on standard output.
    """
    script = _START + code + _END
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_WALL_SECONDS * 2,
        env=os.environ | environment,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode >= 0, f"killed by {signal.Signals(-done.returncode).name}: {done.stderr[-2000:]}"
    *printed, figures = done.stdout.rstrip("\n").split("\n")
    seconds, grown = map(float, figures.split())
    assert seconds < MAX_SECONDS, f"the case took {seconds:.1f} s of CPU time"
    assert grown < max_bytes, f"the case took {grown / 2**20:.0f} MiB"
    return "\n".join(printed)


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow(f"the case hangs: it has not ended after {MAX_SECONDS:.0f} s of CPU time")

    # CPU time, or a busy machine would fail what is fast; wall time for what waits.
    handlers = {number: signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, _WALL_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _start_peak() -> int:
    """Let the peak of this process's memory begin at what it uses now, and return that."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _peak_bytes() -> int:
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak) * 1024


_START = """
import resource, sys, time
_before = {"seconds": 0.0, "peak": 0}
def start():
    _before["seconds"] = time.process_time()
    _before["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start()
"""
_END = """
_grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - _before["peak"]) * 1024
print(f"\\n{time.process_time() - _before['seconds']} {_grown}")
"""
