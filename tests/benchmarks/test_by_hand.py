"""The same sweep as a sweep file, and by hand with Ray Tune and with Optuna: undisturbed, killed, and without MLflow.

`pytest -m benchmark -n 0 -s tests/benchmarks/test_by_hand.py` takes 40 minutes, most of them until the peers give up
without MLflow. It writes `results/by_hand-cpu.json` and `results/by_hand.md`. SWEEPS_BENCHMARK=quick runs each
contestant undisturbed.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from by_hand.contestants import CONTESTANTS, N_EPOCHS, N_TRIALS, Contestant, SweepProcess, n_lines
from by_hand.report import report
from by_hand.tracked import tracked

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200)]

HERE = Path(__file__).parent / "by_hand"
HALF = N_TRIALS * N_EPOCHS // 2
OUTAGE_SECONDS, RESTART_SECONDS, PATIENCE_SECONDS = 20, 15, 600
each_contestant = pytest.mark.parametrize("contestant", CONTESTANTS, ids=lambda contestant: contestant.name)
faulty_only = pytest.mark.skipif("os.environ.get('SWEEPS_BENCHMARK') == 'quick'", reason="a quick run has no faults")
Results = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def written(results: Results, folder_of_results: Path | None) -> Iterator[None]:
    """Write the table after all measurements."""
    yield
    results["lines"] = {who.name: sum(n_lines(HERE / name) for name in who.files) for who in CONTESTANTS}
    print("\n\n" + report(results))
    if folder_of_results:
        (folder_of_results / "by_hand.md").write_text(report(results))


def sweep(contestant: Contestant, case: str, tmp_path: Path, server: Any) -> SweepProcess:
    name = f"{case}-{contestant.name.replace(' ', '-').lower()}"
    return SweepProcess(contestant, tmp_path / name, name, server.uri)


def end(run: SweepProcess, server: Any, started: float) -> dict[str, Any]:
    """Wait for a sweep's end, start MLflow if it is down, and describe both.

    If a sweep of ours ends while MLflow is down, its output names the command that delivers the rest: run it.
    """
    status, printed = run.wait(PATIENCE_SECONDS), run.printed()
    measured = {"status": status, "seconds": time.time() - started, "epochs": run.n_epochs()}
    measured |= {"longest_pause": run.longest_pause(), "undelivered": printed.get("undelivered", 0)}
    measured["finished"] = printed.get("finished", printed.get("trials", 0) - printed.get("failed", 0))
    if not server.is_running:
        server.start()
    if measured["undelivered"]:
        run.start(["-m", "sweeps", "sync", run.experiment])
        assert run.wait(120) == 0, run.errors()
    return measured | {"mlflow": tracked(server.uri, run.experiment, run.contestant.metric)}


@each_contestant
@pytest.mark.parametrize("repetition", [0, 1])
def test_undisturbed(contestant: Contestant, repetition: int, results: Results, tmp_path: Path, server: Any) -> None:
    run, started = sweep(contestant, f"calm{repetition}", tmp_path, server), time.time()
    run.start(contestant.start)
    measured = end(run, server, started)
    assert measured["status"] == 0, run.errors()
    assert measured["epochs"] == N_TRIALS * N_EPOCHS
    assert measured["mlflow"]["trials_finished"] == N_TRIALS
    assert measured["mlflow"]["nested"]
    results.setdefault("undisturbed", {}).setdefault(contestant.name, []).append(measured)


@faulty_only
@each_contestant
def test_driver_killed(contestant: Contestant, results: Results, tmp_path: Path, server: Any) -> None:
    run, started = sweep(contestant, "killed", tmp_path, server), time.time()
    run.start(contestant.start)
    run.wait_for_epochs(HALF)
    run.process.kill()
    run.process.wait()
    time.sleep(RESTART_SECONDS)
    before = {"epochs_before": run.n_epochs(), "mlflow_before": tracked(server.uri, run.experiment, contestant.metric)}
    run.start(contestant.resume)
    results.setdefault("killed", {})[contestant.name] = before | end(run, server, started)


@faulty_only
@each_contestant
def test_mlflow_away_for_a_while(contestant: Contestant, results: Results, tmp_path: Path, server: Any) -> None:
    """The server is started again after 20 s."""
    run, started = sweep(contestant, "outage", tmp_path, server), time.time()
    run.start(contestant.start)
    run.wait_for_epochs(HALF // 2)
    server.stop()
    stopped = time.time()
    time.sleep(OUTAGE_SECONDS)
    trained = run.n_epochs()
    server.start()
    away = {"away": time.time() - stopped, "epochs_in_outage": trained - HALF // 2}
    results.setdefault("away", {})[contestant.name] = away | end(run, server, started)


@faulty_only
@each_contestant
def test_mlflow_gone(contestant: Contestant, results: Results, tmp_path: Path, server: Any) -> None:
    """MLflow returns only after the command has ended."""
    run, started = sweep(contestant, "gone", tmp_path, server), time.time()
    run.start(contestant.start)
    run.wait_for_epochs(HALF)
    server.stop()
    stopped = time.time()
    measured = end(run, server, started)
    measured["seconds_after_stop"] = measured["seconds"] - (stopped - started)
    results.setdefault("gone", {})[contestant.name] = measured
