"""The stack as a person uses it: sweeps submitted from the host, hosts and servers that are lost, data that stay."""

import json
import os
import re
import secrets
import shutil
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
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

HERE = Path(__file__).parent
SERVICE = "com.docker.compose.service"
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


@pytest.mark.parametrize(
    "name",
    ["POSTGRES_PASSWORD", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SWEEPS_PASSWORD", "MLFLOW_SECRET_KEY", "RAY_AUTH_TOKEN"],
)
def test_a_secret_that_is_missing_stops_up_with_what_to_set(engine: Any, name: str) -> None:
    others = {other: secret for other, secret in engine.secrets.items() if other != name}
    refused = engine.attempt("up", "-d", secrets=others)
    assert refused.returncode != 0
    assert f"set {name}" in refused.stderr
    assert not any(secret in refused.stdout + refused.stderr for secret in engine.secrets.values())
    assert engine.containers() == []


def test_only_https_is_published_beyond_loopback(engine: Any) -> None:
    services = yaml.safe_load(engine.compose("--profile", "gpu", "--profile", "tls", "config"))["services"]
    ray = {"ray-head", "ray-worker", "ray-worker-gpu"}
    assert set(services) == {"postgres", "mlflow", "mlflow-accounts", "proxy", *ray}
    https = services.pop("proxy")["ports"]
    targets = [str(port["target"]) if isinstance(port, dict) else port.split(":")[-1] for port in https]
    assert [target.removesuffix("/tcp") for target in targets] == ["8443", "8444"]
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


def test_every_container_has_limits_and_ray_offers_no_more_memory(stack: Any) -> None:
    template = (
        "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{len .HostConfig.LogConfig.Config}}"
    )
    command = ["docker", "inspect", "--format", template, *stack.containers("--all")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    limits = [list(map(int, line.split())) for line in told.splitlines()]
    assert len(limits) == 5
    assert all(memory > 0 and cpus > 0 and n_pids > 0 and n_options == 2 for memory, cpus, n_pids, n_options in limits)
    (offered,) = re.findall(r"/([\d.]+)GiB memory", stack.inside("ray-head", "ray", "status"))
    assert 4 < float(offered) < 12  # the head and the worker may have 6 GB each


def test_another_user_of_the_host_gets_nothing_without_a_secret(stack: Any) -> None:
    addresses = [stack.mlflow, stack.api_server, stack.address("postgres", "database")]
    command = [sys.executable, HERE / "local_user.py", *addresses]
    done = subprocess.run(command, capture_output=True, text=True, env={}, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


def test_a_ray_job_reaches_no_postgresql_and_no_secret_but_its_own(stack: Any) -> None:
    addresses = [stack.address("postgres", "database"), stack.address("mlflow", "database")]
    told = stack.inside("ray-head", "python", "-c", (HERE / "ray_job.py").read_text(), *addresses)
    assert told.endswith("done\n")
    assert "RAY_AUTH_TOKEN=" in told  # the environments of the container's processes were read
    assert not [line for line in told.splitlines() if line.startswith(("REACHED", "STATUS"))]
    hidden = {name: stack.secrets[name] for name in ("POSTGRES_PASSWORD", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SECRET_KEY")}
    assert [name for name, secret in hidden.items() if secret in told] == []


def test_mlflow_is_healthy_only_while_its_database_answers(stack: Any) -> None:
    def is_healthy() -> bool:
        return bool(stack.containers("--filter", f"label={SERVICE}=mlflow", "--filter", "health=healthy"))

    assert is_healthy()
    stack.compose("stop", "--timeout", "1", "postgres")
    stack.wait_until(lambda: not is_healthy())
    stack.compose("start", "postgres")
    stack.wait_until(is_healthy)


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
        MlflowClient(stack.mlflow).create_experiment("submitted")  # admin's, as of a sweep that ran on another machine
        path = home.path / "submitted.yaml"
        path.write_text(json.dumps(document))
        self.sweep = self.tell("submit", str(path))["sweep"]

    def tell(self, *arguments: str, **environment: str) -> dict[str, Any]:
        """What a command prints that a person gives on the host."""
        told: dict[str, Any] = self._home.run_json(*arguments, **self._environment | environment)
        return told

    def attempt(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command that a person gives on the host to its end."""
        done: subprocess.CompletedProcess[str] = self._home.sweeps(*arguments, **self._environment | environment)
        return done

    @property
    def _environment(self) -> dict[str, str]:
        token = self._stack.secrets["RAY_AUTH_TOKEN"]
        return self._stack.credentials | {"RAY_API_SERVER_ADDRESS": self._stack.api_server, "RAY_AUTH_TOKEN": token}

    def runs(self) -> dict[str, Any]:
        """Its trials' runs in MLflow, by trial."""
        return dict(self._home.runs("submitted", self._stack.mlflow))

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


def test_the_account_of_ray_jobs_promotes_and_rolls_back_a_model_that_admin_registered(
    stack: Any, submitted: Submitted
) -> None:
    client = MlflowClient(stack.mlflow)
    client.create_registered_model("digits")
    client.create_registered_model("digits.champion.lock-1", {"sweeps.lock.seconds": "0"})  # of a failed process
    for trial, options in (("0000", ["--first", "--force"]), ("0002", ["--force"])):
        run = f"{submitted.sweep}/{trial}"
        stack.inside("ray-head", "sweeps", "promote", run, "--model", "digits", *options)
    assert client.get_model_version_by_alias("digits", "champion").version == "2"
    stack.inside("ray-head", "sweeps", "rollback", "digits")
    assert client.get_model_version_by_alias("digits", "champion").version == "1"
    events = stack.inside("ray-head", "sweeps", "history", "digits")
    assert "rollback" in events


def test_https_serves_mlflow_and_rays_api_to_who_trusts_the_certificate(
    stack: Any, submitted: Submitted, tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = own_certificate(tmp_path_factory.mktemp("tls"), stack)
    stack.compose("--profile", "tls", "up", "-d", "--build", "proxy")
    stack.wait_until(lambda: stack.containers("--filter", f"label={SERVICE}=proxy", "--filter", "health=healthy"))
    there = {
        "MLFLOW_TRACKING_URI": f"https://127.0.0.1:{stack.ports['MLFLOW_TLS_PORT']}",
        "RAY_API_SERVER_ADDRESS": f"https://127.0.0.1:{stack.ports['RAY_TLS_PORT']}",
    }
    trust = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(authority), "RAY_JOB_VERIFY": str(authority)}
    told = submitted.tell("status", submitted.sweep, **there, **trust)
    assert (told["state"], told["tracked"]["trials"]) == ("FINISHED", {"FINISHED": 3})
    untrusting = submitted.attempt("status", submitted.sweep, **there)
    assert untrusting.returncode != 0
    assert "RAY_JOB_VERIFY" in untrusting.stderr
    context = ssl.create_default_context(cafile=authority)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(there["MLFLOW_TRACKING_URI"], context=context)  # noqa: S310 (our own server)
    assert refused.value.code == 401
    assert refused.value.headers["Strict-Transport-Security"] == "max-age=31536000"
    stack.compose("--profile", "tls", "rm", "--stop", "--force", "proxy")


def own_certificate(folder: Path, stack: Any) -> Path:
    """Make an authority's certificate, and one of 127.0.0.1 for the stack's proxy; return the authority's."""
    folder.chmod(0o755)
    commands = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout authority.key -out authority.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=proxy -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out csr.pem",
        "x509 -req -in csr.pem -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -copy_extensions copy "
        "-out certificate.pem",
    )
    for command in commands:
        subprocess.run(["openssl", *command.split()], cwd=folder, capture_output=True, check=True)
    key = folder / "key.pem"
    stack.environment |= {
        "TLS_CERTIFICATE": str(folder / "certificate.pem"),
        "TLS_KEY": str(key),
        "TLS_USER": f"{key.stat().st_uid or 1000}:{key.stat().st_gid or 1000}",
        "TLS_ADDRESS": "127.0.0.1",
    }
    if key.stat().st_uid == 0:
        os.chown(key, 1000, 1000)
    return folder / "authority.pem"


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


def test_data_are_kept_by_down_and_restored_from_a_backup_after_they_are_destroyed(
    stack: Any, submitted: Submitted, tmp_path: Path
) -> None:
    client = MlflowClient(stack.mlflow)

    def kept() -> tuple[Any, ...]:
        runs = submitted.runs()
        run_id = runs["0000"].info.run_id
        (name,) = [
            artifact.path
            for artifact in client.list_artifacts(run_id, "images")
            if artifact.path.startswith("images/filters+step+0+") and artifact.path.endswith(".png")
        ]
        figure = client.download_artifacts(run_id, name, str(tmp_path))
        ranking = json.loads(stack.inside("ray-head", "sweeps", "best", submitted.sweep, "--json"))
        versions = [(v.version, v.source, v.tags) for v in client.search_model_versions("name='digits'")]
        data = {trial: (run.data.metrics, run.data.tags) for trial, run in runs.items()}
        aliases = client.get_registered_model("digits").aliases
        return data, submitted.steps(), Path(figure).read_bytes(), ranking, versions, aliases

    def back_up(name: str) -> subprocess.CompletedProcess[str]:
        return stack.script("backup.sh", str(tmp_path / name))

    def restore(name: str) -> subprocess.CompletedProcess[str]:
        return stack.script("restore.sh", str(tmp_path / name))

    before = kept()
    made = back_up("backup")
    assert made.returncode == 0, made.stderr
    assert "exists" in back_up("backup").stderr
    assert "must be down" in restore("backup").stderr
    stack.compose("down", "--timeout", "2")
    assert stack.containers() == []
    assert "/artifacts is not empty" in restore("backup").stderr
    stack.compose("down", "--volumes", "--timeout", "2")
    damage(tmp_path / "backup", tmp_path / "damaged")
    assert "damaged" in restore("damaged").stderr
    (tmp_path / "damaged" / "SHA256SUMS").unlink()
    assert "not a complete backup" in restore("damaged").stderr
    restored = restore("backup")
    assert restored.returncode == 0, restored.stderr
    stack.secrets["MLFLOW_SWEEPS_PASSWORD"] = secrets.token_hex(32)
    stack.up()
    assert kept() == before
    # With the new password. The journal was restored, too.
    stack.inside("ray-head", "sweeps", "delete", submitted.sweep, "--runs")
    assert submitted.runs() == {}


def damage(backup: Path, copy: Path) -> None:
    """Copy a backup with one byte of the database changed."""
    shutil.copytree(backup, copy)
    content = bytearray((copy / "mlflow.dump").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "mlflow.dump").write_bytes(content)
