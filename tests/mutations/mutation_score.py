"""Count which single-line changes to the guards of data, security and ranking the tests notice.

    python tests/mutations/mutation_score.py [--mutants 250] [--seed 0] [--only TEXT ...] [--all] [--workers 2]

Each worker has a copy of the repository. It changes one line of a module in `guards.toml`, runs that module's tests in
a fork that has the libraries imported already, and restores the module. A mutant is killed if a test fails or takes
much longer than without it. Survivors that change nothing which a test could see are in `guards.toml` with the reason.
The exit status is 1 if fewer than 95 % of the other mutants are killed.
"""

import argparse
import gc
import io
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
GUARDS = Path(__file__).with_name("guards.toml")
REQUIRED_SHARE = 0.95
_LIBRARIES = (
    *("hypothesis", "mlflow", "mlflow.pytorch", "numpy", "optuna", "pandas", "pyarrow", "pytest", "pytorch_lightning"),
    *("ray", "ray.tune", "sklearn", "torch", "typer"),
)
_QUICK = "not cluster and not gpu and not benchmark and not reproduction"


@dataclass(frozen=True)
class Guard:
    """A module, the tests that guard it, and its survivors that no test can see, by change, with the reason."""

    module: str
    tests: Sequence[str]
    equivalent: dict[str, str]


@dataclass(frozen=True)
class Verdict:
    """What the tests made of a mutant: the test that `killed` it; "" if it survived."""

    module: str
    line: int
    change: str
    killed: str
    seconds: float


def main() -> int:
    """Print the survivors and the score; return 1 if too few mutants were killed."""
    arguments = _arguments()
    guards = [guard for guard in read_guards() if any(text in guard.module for text in arguments.only)]
    chosen = choose(guards, None if arguments.all else arguments.mutants, arguments.seed)
    started = time.monotonic()
    _import_libraries()
    verdicts = list(_judge(guards, chosen, arguments.workers))
    equivalents = {(guard.module, change) for guard in guards for change in guard.equivalent}
    survivors = [verdict for verdict in verdicts if not verdict.killed]
    unexplained = [verdict for verdict in survivors if (verdict.module, verdict.change) not in equivalents]
    for verdict in unexplained:
        print(f"survived: {verdict.module}:{verdict.line}: {verdict.change}")
    if n_skipped := len(chosen) - len(verdicts):
        print(f"{n_skipped} mutants were not judged: the tests of their modules fail without them, see above")
    n_counted = len(verdicts) - len(survivors) + len(unexplained)
    share = 1 - len(unexplained) / max(n_counted, 1)
    print(
        f"{len(verdicts)} mutants of {len(guards)} modules: {len(verdicts) - len(survivors)} killed, "
        f"{len(survivors) - len(unexplained)} equivalent, {len(unexplained)} survived: {share:.1%} killed "
        f"(seed {arguments.seed}, {(time.monotonic() - started) / 60:.0f} minutes)"
    )
    return 0 if verdicts and not n_skipped and share >= REQUIRED_SHARE else 1


def read_guards() -> list[Guard]:
    """Return the modules of `guards.toml`."""
    return [
        Guard(module, entry["tests"], entry.get("equivalent", {}))
        for module, entry in tomllib.loads(GUARDS.read_text()).items()
    ]


def choose(guards: Sequence[Guard], n_mutants: int | None, seed: int) -> list[tuple[str, Mutant]]:
    """Return mutants of each module in turn until there are `n_mutants`, the same for the same seed; None: all."""
    piles = {guard.module: mutants((ROOT / guard.module).read_text()) for guard in guards}
    n_all = sum(map(len, piles.values()))
    for module, pile in piles.items():
        random.Random(f"{seed} {module}").shuffle(pile)  # the same with --only
    chosen: list[tuple[str, Mutant]] = []
    while len(chosen) < min(n_all, n_all if n_mutants is None else n_mutants):
        chosen += [(module, pile.pop()) for module, pile in piles.items() if pile]
    return chosen


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=250, help="how many, spread evenly over the modules (250)")
    parser.add_argument("--seed", type=int, default=0, help="which of them (0)")
    parser.add_argument("--all", action="store_true", help="every mutant of every module: takes hours")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="TEXT", help="modules whose path contains one of these"
    )
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def _judge(guards: Sequence[Guard], chosen: Sequence[tuple[str, Mutant]], n_workers: int) -> Iterator[Verdict]:
    """Yield a verdict on each mutant, as the workers reach them; print each to stderr."""
    readers = []
    for worker in range(n_workers):
        share = [pair for pair in chosen if _worker_of(pair[0], guards, n_workers) == worker]
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            _work(guards, share, writer)
            os._exit(0)
        os.close(writer)
        readers.append(os.fdopen(reader))
    for reader in readers:
        for line in reader:
            yield Verdict(**json.loads(line))
    for _ in readers:
        os.wait()


def _worker_of(module: str, guards: Sequence[Guard], n_workers: int) -> int:
    return [guard.module for guard in guards].index(module) % n_workers


def _work(guards: Sequence[Guard], share: Sequence[tuple[str, Mutant]], writer: int) -> None:
    """Judge this worker's mutants in a copy of the repository, module by module."""
    with tempfile.TemporaryDirectory(prefix="sweeps-mutants-") as scratch:
        copy = _copy_of_repository(Path(scratch) / "copy")
        for guard in guards:
            own = [mutant for module, mutant in share if module == guard.module]
            if not own:
                continue
            failed, seconds = _run(copy, guard.tests, 1800)
            print(f"{guard.module}: {len(own)} mutants, {seconds:.1f} s without any", file=sys.stderr, flush=True)
            if failed:
                print(f"{guard.module}: its tests must pass without a mutant, and {failed} fails", file=sys.stderr)
                own = []
            for mutant in own:
                verdict = _verdict(copy, guard, mutant, 30 + 3 * seconds)
                print(f"{'killed  ' if verdict.killed else 'SURVIVED'} {verdict}", file=sys.stderr, flush=True)
                os.write(writer, (json.dumps(vars(verdict)) + "\n").encode())


def _copy_of_repository(copy: Path) -> Path:
    """Copy the tracked files, compiled: the forks write no bytecode."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    subprocess.run(["git", "add", "--all"], cwd=copy, check=True)
    subprocess.run([sys.executable, "-m", "compileall", "-q", copy / "sweeps", copy / "tests"], check=True)
    return copy


def _verdict(copy: Path, guard: Guard, mutant: Mutant, limit_seconds: float) -> Verdict:
    path = copy / guard.module
    original, times = path.read_text(), path.stat()
    path.write_text(mutant.source)
    # Bytecode of the original has its size and time; a mutant of the same size must not pass for it.
    os.utime(path, (times.st_atime, times.st_mtime + 10))
    try:
        killed, seconds = _run(copy, guard.tests, limit_seconds)
    finally:
        path.write_text(original)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return Verdict(guard.module, mutant.line, mutant.change, killed, round(seconds, 1))


def _run(copy: Path, tests: Sequence[str], limit_seconds: float) -> tuple[str, float]:
    """Run tests in a fork; return the first failure, "" if all passed, and the time in seconds."""
    started = time.monotonic()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in background jobs
        os.close(reader)
        os.write(writer, _failure(copy, tests).encode())
        os._exit(0)
    os.close(writer)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() - started > limit_seconds:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reader)
            return "the time limit", time.monotonic() - started
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what its tests have left running
    with os.fdopen(reader) as file:
        failed = file.read() or "the end of its process"
    return "" if failed == "-" else failed, time.monotonic() - started


class _FirstFailure:
    """A pytest plugin that runs quick tests first and remembers the first test that failed."""

    name = ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> Iterator[None]:
        yield  # to tests/conftest.py, which puts the slow ones first
        items.sort(key=lambda item: item.get_closest_marker("slow") is not None)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.name:
            self.name = f"collection of {report.nodeid}"


def _failure(copy: Path, tests: Sequence[str]) -> str:
    """Run tests in this process; return the first that failed, "-" if none did."""
    os.chdir(copy)
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy)}
    sys.path.insert(0, str(copy))
    plugin = _FirstFailure()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        options = ["-n", "0", "-x", "-q", "-m", _QUICK, "-p", "no:cacheprovider", "-p", "no:randomly"]
        status = pytest.main([*options, *tests], plugins=[plugin])
    if status == pytest.ExitCode.OK:
        return "-"
    return plugin.name or f"pytest's exit status {int(status)}"


def _import_libraries() -> None:
    """Import what the tests import, but for this project: each fork then starts within a second."""
    import importlib

    for name in _LIBRARIES:
        importlib.import_module(name)
    logging.root.handlers.clear()  # MLflow has imported a library that sets up the root logger
    logging.root.setLevel(logging.WARNING)
    gc.freeze()  # garbage collection in a fork would copy their memory


if __name__ == "__main__":
    sys.exit(main())
