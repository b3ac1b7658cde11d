"""The stack as a person uses it: sweeps submitted from the host, hosts and servers that are lost, data that stay."""

import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient
from playwright.sync_api import sync_playwright

from sweeps.tracking.mlflow.run_metadata import SWEEP_TAG

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(2400)]

CHROMIUM = shutil.which("chromium")
# So many that workers and servers are lost, and found again, while most of them are to come.
N_EPOCHS = 600
N_TOGETHER, N_TRIALS = 10, 20
# Prints how often trials of a sweep were lost and went on.
N_RETRIES = """\
import sys
from sweeps.storage.layout import find
from sweeps.tracking.journal.restore import read_journal
with read_journal(find(sys.argv[1])) as journal:
    print(sum(point.n_retries for point in journal.points()))
"""


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SECRET_KEY", "RAY_AUTH_TOKEN"])
def test_a_secret_that_is_missing_stops_up_with_what_to_set(engine: Any, name: str) -> None:
    others = {other: secret for other, secret in engine.secrets.items() if other != name}
    refused = engine.attempt("up", "-d", secrets=others)
    assert refused.returncode != 0
    assert f"set {name}" in refused.stderr
    assert not any(secret in refused.stdout + refused.stderr for secret in engine.secrets.values())
    assert engine.containers() == []


def test_ports_are_published_on_loopback_only(engine: Any) -> None:
    services = yaml.safe_load(engine.compose("--profile", "gpu", "config"))["services"]
    assert set(services) == {"postgres", "mlflow", "ray-head", "ray-worker", "ray-worker-gpu"}
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 2
    for port in published:  # Compose writes them long, its first version short
        assert port["host_ip"] == "127.0.0.1" if isinstance(port, dict) else port.startswith("127.0.0.1:")


def test_no_server_runs_as_root(stack: Any) -> None:
    for container in stack.containers():
        command = ["docker", "top", container, "-eo", "pid,uid,comm"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        processes = [line.split(maxsplit=2) for line in told.splitlines()[1:]]
        servers = [(uid, name) for _, uid, name in processes if name not in ("docker-init", "runuser")]
        assert servers
        assert all(uid != "0" for uid, _ in servers), told


class Submitted:
    """A sweep of three trials, submitted from the host, and how it stands."""

    def __init__(self, stack: Any, home: Any) -> None:
        self._stack, self._home = stack, home
        document = {
            "name": "submitted",
            "data": {"name": "digits"},
            "model": {"name": "shallow"},
            "training": {"epochs": N_EPOCHS, "probe_samples": 0},
            "objective": {"metric": "valid/mse"},
            "search": {"model.hidden_size": {"grid": [4, 8, 16]}},
            "algorithm": {"name": "grid"},
            "execution": "single",
        }
        path = home.path / "submitted.yaml"
        path.write_text(json.dumps(document))
        self.sweep = self.tell("submit", str(path))["sweep"]

    def tell(self, *arguments: str) -> dict[str, Any]:
        """What a command prints that a person gives on the host."""
        token = self._stack.secrets["RAY_AUTH_TOKEN"]
        there = {"RAY_API_SERVER_ADDRESS": self._stack.api_server, "RAY_AUTH_TOKEN": token}
        told: dict[str, Any] = self._home.run_json(*arguments, **self._stack.credentials, **there)
        return told

    def runs(self) -> dict[str, Any]:
        """Its trials' runs in MLflow, by trial."""
        has_begun = MlflowClient(self._stack.mlflow).get_experiment_by_name("submitted") is not None
        return dict(self._home.runs("submitted", self._stack.mlflow)) if has_begun else {}

    def steps(self) -> list[list[int]]:
        """The epochs that MLflow has of each trial, by a metric that is no objective: one ends at its best value."""
        client = MlflowClient(self._stack.mlflow)
        histories = [client.get_metric_history(run.info.run_id, "train/loss") for run in self.runs().values()]
        return [sorted(metric.step for metric in history) for history in histories]


@pytest.fixture(scope="module")
def submitted(stack: Any, session_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Submitted:
    """A sweep whose workers were killed in the middle, after its end."""
    sweep = Submitted(stack, session_home(tmp_path_factory.mktemp("person")))
    # The head and the worker have one CPU each: where two trials run, one of them is on the worker.
    stack.wait_until(lambda: sum(len(steps) > 10 for steps in sweep.steps()) >= 2)
    stack.compose("kill", "ray-worker")
    stack.wait_until(lambda: sweep.tell("status", sweep.sweep)["state"] not in ("PENDING", "RUNNING"))
    return sweep


def test_a_sweep_submitted_from_the_host_is_complete_though_its_workers_are_killed(
    stack: Any, submitted: Submitted
) -> None:
    ended, log = submitted.tell("status", submitted.sweep), submitted.tell("logs", submitted.sweep)["log"]
    assert (ended["state"], ended["errors"]) == ("FINISHED", []), log
    assert ended["told"].startswith("FINISHED: 3 of 3 trials ended, 0 failed")
    assert ended["tracked"]["trials"] == {"FINISHED": 3}
    assert int(stack.inside("ray-head", "python", "-c", N_RETRIES, submitted.sweep)) > 0
    assert submitted.steps() == [list(range(1, N_EPOCHS + 1))] * 3
    assert not any(secret in log + json.dumps(ended) for secret in stack.secrets.values())


def test_the_mlflow_ui_opens_with_the_password_and_not_with_another(stack: Any, submitted: Submitted) -> None:
    if CHROMIUM is None:
        pytest.skip("needs a browser: install Debian's chromium")
    (experiment,) = {run.info.experiment_id for run in submitted.runs().values()}
    address = f"{stack.mlflow}/#/experiments/{experiment}/runs?workflowType=machine_learning"
    password = {"username": "admin", "password": stack.secrets["MLFLOW_ADMIN_PASSWORD"]}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        refused = browser.new_context(http_credentials=password | {"password": "wrong"}).new_page().goto(address)
        assert refused is not None
        assert refused.status == 401
        page = browser.new_context(http_credentials=password, viewport={"width": 1500, "height": 1000}).new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        page.get_by_role("link", name=submitted.sweep).wait_for()
        page.locator("[role=gridcell] button").first.click()
        page.get_by_role("link", name="h=16").wait_for()
        browser.close()


def test_a_postgresql_that_is_restarted_in_mid_sweep_has_every_number_once(
    stack: Any, home: Any, sweep_file: Callable[..., str], long_training: dict[str, Any]
) -> None:
    training = long_training | {"epochs": N_EPOCHS}
    process = home.start("run", sweep(sweep_file, training), "--json", **stack.credentials)
    home.wait_for_epochs(process, 40)
    stack.compose("restart", "--timeout", "1", "postgres")
    assert home.n_epochs() < 2 * N_EPOCHS, "PostgreSQL was restarted too late"
    assert_complete(home, process, stack.mlflow)


def test_an_mlflow_that_answers_500_to_a_third_of_the_requests_has_every_number_once(
    stack: Any, home: Any, sweep_file: Callable[..., str], long_training: dict[str, Any], faulty: Any
) -> None:
    with faulty(stack.mlflow) as (address, fault):
        there = stack.credentials | {"MLFLOW_TRACKING_URI": address}
        process = home.start("run", sweep(sweep_file, long_training), "--json", **there)
        home.wait_for_epochs(process, 1)
        fault.share = 1 / 3
        assert_complete(home, process, stack.mlflow)
    assert fault.n_failed >= 10


def sweep(sweep_file: Callable[..., str], training: dict[str, Any]) -> str:
    """A sweep of two trials that lasts for some seconds."""
    return sweep_file(
        experiment="outage",
        training=training,
        search={"model.hidden_size": {"grid": [8, 16]}},
        algorithm={"name": "grid"},
    )


def assert_complete(home: Any, process: subprocess.Popen[str], uri: str) -> None:
    """The sweep that a process runs ends as if nothing had been, and the store has each of its numbers once."""
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    printed = json.loads(output)
    assert (printed["state"], printed["trials"], printed["failed"]) == ("FINISHED", 2, 0)
    assert printed["undelivered"] == 0, errors
    recorded, stored = home.recorded_and_stored(printed["sweep"], uri)
    assert stored == recorded
    assert sum(recorded.values()) >= 2 * 150


def test_ten_journals_shipped_at_once_are_complete(
    stack: Any, home: Any, sweep_file: Callable[..., str], faulty: Any, record_property: Callable[[str, object], None]
) -> None:
    path = sweep_file(
        experiment="together",
        search={"model.hidden_size": {"choice": [8, 16]}, "training.learning_rate": {"loguniform": [1e-4, 1e-2]}},
        budget={"trials": N_TRIALS},
    )
    alone = home.run_json("run", path, "--offline", MLFLOW_TRACKING_URI="http://127.0.0.1:9")["sweep"]
    together = [copy_of(home, alone, number) for number in range(N_TOGETHER)]
    with faulty(stack.mlflow) as (address, requests):  # which fails none, and counts them
        there = stack.credentials | {"MLFLOW_TRACKING_URI": address}
        seconds_alone, n_alone = sync_at_once(home, [alone], there), len(requests.asked)
        seconds_together = sync_at_once(home, together, there)
    n_together = len(requests.asked) - n_alone
    record_property("requests per trial, one journal", n_alone / N_TRIALS)
    record_property(f"requests per trial, {N_TOGETHER} journals", n_together / (N_TOGETHER * N_TRIALS))
    record_property("seconds of `sync`, one journal", seconds_alone)
    record_property(f"seconds of `sync`, {N_TOGETHER} journals at once", seconds_together)
    client = MlflowClient(stack.mlflow)
    experiment = client.get_experiment_by_name("together").experiment_id
    for name in together:
        runs = client.search_runs([experiment], f"tags.`{SWEEP_TAG}` = '{name}'", max_results=N_TRIALS + 10)
        assert [run.info.status for run in runs] == ["FINISHED"] * (N_TRIALS + 1)
    with ThreadPoolExecutor() as threads:
        for recorded, stored in threads.map(lambda name: home.recorded_and_stored(name, stack.mlflow), together):
            assert stored == recorded
            assert len({point for point, *_ in recorded}) == N_TRIALS


def sync_at_once(home: Any, names: Iterable[str], there: Mapping[str, str]) -> float:
    """Deliver sweeps by processes that run at the same time; seconds until the last has delivered everything."""
    began = time.monotonic()
    for process in [home.start("sync", name, "--json", **there) for name in names]:
        output, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        assert (json.loads(output)["undelivered"], json.loads(output)["refused"]) == (0, 0)
    return time.monotonic() - began


def copy_of(home: Any, sweep: str, number: int) -> str:
    """Another sweep with the same trials under an id of its own."""
    name = f"{sweep[:-4]}{number:04x}"
    source, target = home.path / "sweeps" / sweep, home.path / "sweeps" / name
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("journal"))  # the segments: of the former id
    with sqlite3.connect(target / "journal.db") as connection:
        connection.execute("UPDATE entries SET body = replace(body, ?, ?)", (sweep, name))
    connection.close()
    return name


def test_data_are_kept_when_the_stack_is_taken_down_and_brought_up(
    stack: Any, submitted: Submitted, tmp_path: Path
) -> None:
    def kept() -> tuple[dict[str, Any], bytes, Any]:
        runs = submitted.runs()
        client, run_id = MlflowClient(stack.mlflow), runs["0000"].info.run_id
        (name,) = [
            artifact.path
            for artifact in client.list_artifacts(run_id, "images")
            if artifact.path.startswith("images/filters+step+0+") and artifact.path.endswith(".png")
        ]
        figure = client.download_artifacts(run_id, name, str(tmp_path))
        ranking = json.loads(stack.inside("ray-head", "sweeps", "best", submitted.sweep, "--json"))
        return {trial: run.data.metrics for trial, run in runs.items()}, Path(figure).read_bytes(), ranking

    before = kept()
    stack.compose("down", "--timeout", "2")
    assert stack.containers() == []
    stack.up()
    assert kept() == before
