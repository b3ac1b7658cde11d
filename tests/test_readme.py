"""What the README tells people to write and type works."""

import re
from pathlib import Path

from sweeps.config import load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_sweep_file_of_the_readme_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    path = tmp_path / "mine.yaml"
    path.write_text(example)
    assert load(path).n_trials == 32


def test_ci_installs_and_tests_by_the_command_of_the_readme() -> None:
    commands = [line for line in README.splitlines() if line.endswith("&& .venv/bin/pytest")]
    assert len(commands) == 1
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_pictures_of_the_readme_are_there() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)
