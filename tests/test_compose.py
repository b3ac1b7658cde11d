"""Checks of docker-compose.yml that need no Docker engine."""

import re
from importlib.metadata import version
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text()


def test_env_example_lists_every_secret_without_a_value() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", TEXT))
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if not line.startswith("#")]
    assert sorted(lines) == sorted(f"{name}=" for name in required)


def test_every_image_tag_can_be_overridden() -> None:
    images = {service["image"] for service in yaml.safe_load(TEXT)["services"].values()}
    tag = f"${{SWEEPS_TAG:-{version('autoencoder-sweeps')}}}"
    ours = {f"autoencoder-sweeps:{tag}-{device}" for device in ("cpu", "gpu")}
    assert images == {"${POSTGRES_IMAGE:-postgres:15}", *ours}


def test_every_service_has_a_health_check_and_restarts() -> None:
    for service in yaml.safe_load(TEXT)["services"].values():
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
