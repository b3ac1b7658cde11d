"""Checks of docker-compose.yml and of its scripts that need no Docker engine: what no change may weaken unnoticed."""

import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text()
RUNS_ONCE = {"mlflow-accounts"}
# Only PostgreSQL's entrypoint starts as root, to become user `postgres`; the other images name a user.
ROOT_ENTRYPOINTS = {"postgres"}
OPEN_TO_THE_NETWORK = {"proxy"}
SECRETS_OF = {
    "postgres": {"POSTGRES_PASSWORD"},
    "mlflow": {"POSTGRES_PASSWORD", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SECRET_KEY"},
    "mlflow-accounts": {"MLFLOW_ADMIN_PASSWORD", "MLFLOW_SWEEPS_PASSWORD"},
    "ray-head": {"RAY_AUTH_TOKEN", "MLFLOW_SWEEPS_PASSWORD"},
    "ray-worker": {"RAY_AUTH_TOKEN", "MLFLOW_SWEEPS_PASSWORD"},
    "ray-worker-gpu": {"RAY_AUTH_TOKEN", "MLFLOW_SWEEPS_PASSWORD"},
    "proxy": set(),
}
NETWORKS_OF = {
    "postgres": {"database"},
    "mlflow": {"database", "tracking"},
    "mlflow-accounts": {"tracking"},
    "ray-head": {"cluster", "tracking"},
    "ray-worker": {"cluster", "tracking"},
    "ray-worker-gpu": {"cluster", "tracking"},
    "proxy": {"cluster", "tracking"},
}
NO_NEW_PRIVILEGES = "no-new-privileges:true"
# Variables that are secrets, by their names.
SECRET = re.compile(r"\$\{(\w*(?:PASSWORD|SECRET|TOKEN|KEY)\w*)([^}]*)\}")

Service = dict[str, Any]


def weaknesses(compose: str) -> list[str]:
    """Return everything in a Compose file that would let somebody in, or take the host's resources."""
    document = yaml.safe_load(compose)
    found = [f"the networks of {document['networks']}"] if not is_database_isolated(document["networks"]) else []
    for name, service in document["services"].items():
        found += [f"{name}: {problem}" for check in CHECKS for problem in check(name, service)]
    return found


def is_database_isolated(networks: dict[str, Any]) -> bool:
    return (networks.get("database") or {}).get("internal") is True


def in_privileges(name: str, service: Service) -> Iterator[str]:
    if service.get("cap_drop") != ["ALL"]:
        yield "keeps Linux capabilities"
    if service.get("cap_add") and name not in ROOT_ENTRYPOINTS:
        yield "adds Linux capabilities"
    if NO_NEW_PRIVILEGES not in service.get("security_opt", []):
        yield "may gain privileges"
    if service.get("privileged") or "host" in (service.get("network_mode"), service.get("pid"), service.get("ipc")):
        yield "shares the host's namespaces"
    if str(service.get("user", "")).partition(":")[0] in ("root", "0"):
        yield "runs as root"
    if any("docker.sock" in str(volume) for volume in service.get("volumes", [])):
        yield "reaches the Docker engine"


def in_ports(name: str, service: Service) -> Iterator[str]:
    for port in service.get("ports", []):
        if name not in OPEN_TO_THE_NETWORK and not str(port).startswith("127.0.0.1:"):
            yield f"publishes {port}"
        if name in OPEN_TO_THE_NETWORK and not str(port).endswith((":8443", ":8444")):
            yield f"publishes {port}, which is no HTTPS"


def in_networks(name: str, service: Service) -> Iterator[str]:
    if set(service.get("networks", [])) != NETWORKS_OF.get(name):
        yield f"is on the networks {service.get('networks')}"


def in_secrets(name: str, service: Service) -> Iterator[str]:
    used = SECRET.findall(yaml.safe_dump(service, width=10_000))
    if {variable for variable, _ in used if not variable.startswith("TLS_")} != SECRETS_OF.get(name):
        yield f"has the secrets {sorted({variable for variable, _ in used})}"
    for variable, default in used:
        if not variable.startswith("TLS_") and not default.startswith(f":?set {variable} in .env"):
            yield f"starts without {variable}"


def in_logins(name: str, service: Service) -> Iterator[str]:
    environment, command = service.get("environment", {}), str(service.get("command"))
    if name == "mlflow":
        if "--app-name=basic-auth" not in command:
            yield "asks for no password"
        if environment.get("MLFLOW_BASIC_AUTH_FAIL_CLOSED") != "true":
            yield "opens what it has no rule for"
        if "*" in re.split(r"[,:}-]", str(environment.get("MLFLOW_SERVER_ALLOWED_HOSTS", "*")).replace(":*", "")):
            yield "answers to any host name"
        if environment.get("MLFLOW_SERVER_ENABLE_JOB_EXECUTION") != "false":
            yield "runs jobs"
    if name.startswith("ray-"):
        if environment.get("RAY_AUTH_MODE") != "token":
            yield "asks for no token"
        if environment.get("MLFLOW_TRACKING_USERNAME") != "sweeps":
            yield "logs in to MLflow as another user"


def in_limits(_: str, service: Service) -> Iterator[str]:
    for limit in ("mem_limit", "cpus", "pids_limit"):
        if not service.get(limit):
            yield f"has no {limit}"
    logging = service.get("logging") or {}
    if logging.get("driver") != "json-file" or set(logging.get("options", {})) != {"max-size", "max-file"}:
        yield "logs without bound"


CHECKS: list[Callable[[str, Service], Iterator[str]]] = [
    in_privileges,
    in_ports,
    in_networks,
    in_secrets,
    in_logins,
    in_limits,
]


def test_the_stack_has_no_weakness() -> None:
    assert weaknesses(TEXT) == []


# What a careless change would do to docker-compose.yml: the text to find, its replacement, and what the checks say.
MUTATIONS = {
    "no password": ("--app-name=basic-auth ", "", "mlflow: asks for no password"),
    "open rules": ('FAIL_CLOSED: "true"', 'FAIL_CLOSED: "false"', "mlflow: opens what it has no rule for"),
    "any host name": ("localhost:*,127.0.0.1:*", "*", "mlflow: answers to any host name"),
    "jobs": ('ENABLE_JOB_EXECUTION: "false"', 'ENABLE_JOB_EXECUTION: "true"', "mlflow: runs jobs"),
    "no token": ("    RAY_AUTH_MODE: token\n", "", "ray-head: asks for no token"),
    "another mode": ("RAY_AUTH_MODE: token", "RAY_AUTH_MODE: disabled", "ray-worker: asks for no token"),
    "capabilities": ("\n  cap_drop: [ALL]\n", "\n", "ray-head: keeps Linux capabilities"),
    "capabilities of postgres": (
        "    cap_drop: [ALL]\n    cap_add",
        "    cap_add",
        "postgres: keeps Linux capabilities",
    ),
    "more capabilities": (
        "  pids_limit: 4096\n",
        "  pids_limit: 4096\n  cap_add: [SYS_ADMIN]\n",
        "ray-head: adds Linux capabilities",
    ),
    "privileges": (f'\n  security_opt: ["{NO_NEW_PRIVILEGES}"]\n', "\n", "mlflow: may gain privileges"),
    "new privileges": (NO_NEW_PRIVILEGES, "no-new-privileges:false", "mlflow: may gain privileges"),
    "privileged": ("  pids_limit: 4096\n", "  pids_limit: 4096\n  privileged: true\n", "ray-head: shares the host's"),
    "network of the host": ("\n  init: true\n", "\n  init: true\n  network_mode: host\n", "mlflow: shares the host's"),
    "root": ("\n  init: true\n", "\n  init: true\n  user: root\n", "mlflow: runs as root"),
    "root by number": ("\n  init: true\n", '\n  init: true\n  user: "0:0"\n', "ray-head: runs as root"),
    "docker socket": ('["sweeps:/sweeps"]', '["/var/run/docker.sock:/d"]', "ray-head: reaches the Docker engine"),
    "open MLflow": ("127.0.0.1:${MLFLOW_PORT", "0.0.0.0:${MLFLOW_PORT", "mlflow: publishes"),
    "open Ray": ('"127.0.0.1:${RAY_API_PORT:-8265}', '"${RAY_API_PORT:-8265}', "ray-head: publishes"),
    "open PostgreSQL": (
        "    networks: [database]\n",
        '    networks: [database]\n    ports: ["5432:5432"]\n',
        "postgres: pu",
    ),
    "open HTTP": (":8444\n", ":8265\n", "proxy: publishes"),
    "Ray on the database": (
        "  networks: [cluster, tracking]\n",
        "  networks: [database, tracking]\n",
        "ray-head: is on",
    ),
    "one network": ("    networks: [database]\n", "", "postgres: is on the networks None"),
    "a way out": ("    internal: true\n", "", "the networks of"),
    "admin for Ray": (
        "MLFLOW_TRACKING_PASSWORD: ${MLFLOW_SWEEPS_PASSWORD:?set MLFLOW_SWEEPS_PASSWORD",
        "MLFLOW_TRACKING_PASSWORD: ${MLFLOW_ADMIN_PASSWORD:?set MLFLOW_ADMIN_PASSWORD",
        "ray-head: has the secrets",
    ),
    "PostgreSQL for Ray": (
        "    SWEEPS_HOME: /sweeps\n",
        "    SWEEPS_HOME: /sweeps\n    PGPASSWORD: ${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD in .env}\n",
        "ray-worker: has the secrets",
    ),
    "Ray as admin": ("MLFLOW_TRACKING_USERNAME: sweeps", "MLFLOW_TRACKING_USERNAME: admin", "ray-head: logs in"),
    "a default password": (":?set POSTGRES_PASSWORD", ":-POSTGRES_PASSWORD", "postgres: starts without POSTGRES_PASS"),
    "a default token": (":?set RAY_AUTH_TOKEN in", ":-RAY_AUTH_TOKEN in", "ray-head: starts without RAY_AUTH_TOKEN"),
    "memory": ("  mem_limit: ${RAY_WORKER_MEMORY:-6g}", "  #", "ray-worker: has no mem_limit"),
    "memory of postgres": ("    mem_limit: ${POSTGRES_MEMORY:-2g}\n", "", "postgres: has no mem_limit"),
    "CPUs": ("    cpus: ${MLFLOW_CPU_LIMIT:-2}\n", "", "mlflow: has no cpus"),
    "processes": ("  pids_limit: 4096\n", "", "ray-head: has no pids_limit"),
    "logs": ("\n  logging: *logging\n", "\n", "mlflow: logs without bound"),
    "log files": (', max-file: "${LOG_MAX_FILES:-5}"', "", "postgres: logs without bound"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_weakened_stack_is_reported(mutation: str) -> None:
    found, replacement, weakness = MUTATIONS[mutation]
    assert found in TEXT
    reported = weaknesses(TEXT.replace(found, replacement))
    assert any(line.startswith(weakness) for line in reported), reported


def test_env_example_lists_every_secret_without_a_value() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", TEXT))
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if not line.startswith("#")]
    assert sorted(lines) == sorted(f"{name}=" for name in required)


def test_every_image_tag_can_be_overridden() -> None:
    images = {service["image"] for service in yaml.safe_load(TEXT)["services"].values()}
    tag = f"${{SWEEPS_TAG:-{version('autoencoder-sweeps')}}}"
    ours = {f"autoencoder-sweeps:{tag}-{device}" for device in ("cpu", "gpu", "proxy")}
    assert images == {"${POSTGRES_IMAGE:-postgres:15}", *ours}
    for dockerfile in (ROOT / "Dockerfile", ROOT / "docker" / "proxy.Dockerfile"):
        assert re.findall("^FROM (.*)$", dockerfile.read_text(), re.MULTILINE) == ["${PYTHON_IMAGE}"]


def test_every_server_has_a_health_check_and_restarts() -> None:
    for name, service in yaml.safe_load(TEXT)["services"].items():
        if name in RUNS_ONCE:
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "unless-stopped"
            assert service["healthcheck"]["test"]


def test_the_default_limits_of_memory_fit_a_host_of_24_gb() -> None:
    services = {name: s for name, s in yaml.safe_load(TEXT)["services"].items() if not s.get("profiles")}
    gigabytes = [int(re.findall(r":-(\d+)g}$", service["mem_limit"])[0]) for service in services.values()]
    assert sum(gigabytes) <= 20


def test_the_image_runs_as_a_user() -> None:
    assert re.findall("^USER (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE) == ["sweeps"]
    assert re.findall("^USER (.*)$", (ROOT / "docker" / "proxy.Dockerfile").read_text(), re.MULTILINE) == ["1000:1000"]


def test_only_mlflow_gets_the_keys_of_s3() -> None:
    override = yaml.safe_load((ROOT / "docker" / "s3.yml").read_text())
    assert set(override) == {"services"}
    assert set(override["services"]) == {"mlflow"}
    environment = override["services"]["mlflow"]["environment"]
    assert environment.pop("MLFLOW_ARTIFACTS_DESTINATION").startswith("${MLFLOW_ARTIFACTS_DESTINATION:?")
    assert set(environment.values()) == {None}  # taken from .env; unset if it has none
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_S3_ENDPOINT_URL"} <= set(environment)
    assert "AWS_" not in TEXT


def pin_images(tmp_path: Path, digests: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run docker/pin-images.sh on an engine whose images have these digests; return the process and .env."""
    engine = tmp_path / "docker"
    engine.write_text(f"#!/bin/sh\nprintf '{digests}' \"${{5%%:*}}\"\n")
    engine.chmod(engine.stat().st_mode | stat.S_IXUSR)
    env_file = tmp_path / "env"
    env_file.write_text("RAY_AUTH_TOKEN=secret\nPOSTGRES_IMAGE=postgres:15.3\n")
    env_file.chmod(0o600)
    done = subprocess.run(
        [ROOT / "docker" / "pin-images.sh"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "ENV_FILE": str(env_file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    return done, env_file.read_text()


def test_pinned_images_are_in_the_env_file_by_digest(tmp_path: Path) -> None:
    digest = "sha256:" + "0" * 64
    done, env_file = pin_images(tmp_path, f"%s@{digest}")
    assert done.returncode == 0, done.stderr
    assert env_file == f"RAY_AUTH_TOKEN=secret\nPYTHON_IMAGE=python@{digest}\nPOSTGRES_IMAGE=postgres@{digest}\n"


def test_images_without_a_digest_are_not_pinned(tmp_path: Path) -> None:
    done, env_file = pin_images(tmp_path, "")
    assert done.returncode == 1
    assert "python:3.11-slim has no digest" in done.stderr
    assert env_file == "RAY_AUTH_TOKEN=secret\nPOSTGRES_IMAGE=postgres:15.3\n"
