"""What the README tells people to write and type works."""

import re
from pathlib import Path

from sweeps.config import load
from sweeps.experiments.reproduce import CLAIMS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_sweep_file_of_the_readme_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(name: .*?)```", README, flags=re.DOTALL)
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


def test_the_table_of_the_readme_has_every_published_claim_with_its_tolerance() -> None:
    lines = [
        line.split(" | ")
        for line in README.splitlines()
        if re.fullmatch(r"\| [a-z0-9-]+ \| .* (reached|missed|no target|not measured) \|", line)
    ]
    told = {(cells[0].removeprefix("| "), *cells[1:3], cells[5]) for cells in lines}
    assert {(claim.experiment, claim.what, claim.published, claim.tolerance) for claim in CLAIMS} <= told
