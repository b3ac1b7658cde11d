"""docker-compose.yml, as far as no engine is needed to judge it."""

import re
from importlib.metadata import version
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text()


def test_the_example_of_an_env_file_names_every_secret_and_gives_none() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", TEXT))
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if not line.startswith("#")]
    assert sorted(lines) == sorted(f"{name}=" for name in asked)


def test_every_image_has_a_tag_that_can_be_overridden() -> None:
    images = {service["image"] for service in yaml.safe_load(TEXT)["services"].values()}
    tag = f"${{SWEEPS_TAG:-{version('autoencoder-sweeps')}}}"
    ours = {f"autoencoder-sweeps:{tag}-{device}" for device in ("cpu", "gpu")}
    assert images == {"${POSTGRES_IMAGE:-postgres:15}", *ours}


def test_every_server_is_watched_and_started_again() -> None:
    for service in yaml.safe_load(TEXT)["services"].values():
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
