"""What a visitor touches to add one of each: a data set, a network family, a searcher, a scheduler, a gate, a figure, a
command. A copy of the package gets all seven, runs one sweep with them, and the files that changed are counted.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

PACKAGE = Path(__file__).parents[2] / "sweeps"


@dataclass(frozen=True)
class Addition:
    """New files by their paths, and for each file that is edited the text that goes in front of an anchor."""

    files: Mapping[str, str] = field(default_factory=dict)
    edits: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    @property
    def paths(self) -> set[str]:
        return {*self.files, *self.edits}

    def apply(self, package: Path) -> None:
        for name, text in self.files.items():
            assert not (package / name).exists(), name
            (package / name).write_text(text)
        for name, edits in self.edits.items():
            text = (package / name).read_text()
            for anchor, added in edits:
                assert text.count(anchor) == 1, (name, anchor)
                text = text.replace(anchor, added + anchor)
            (package / name).write_text(text)


DATA_SET = Addition(
    {
        "datamodules/rings.py": '''"""Points on two noisy rings."""

import numpy as np

from sweeps.datamodules.arrays import Split
from sweeps.datamodules.config import RingsConfig
from sweeps.datamodules.splits import Source


def load(section: RingsConfig) -> Source:
    """Return points on two rings, labelled by ring."""
    random = np.random.default_rng(section.seed)
    labels = np.arange(section.n_samples) % 2
    angles = random.uniform(0, 2 * np.pi, section.n_samples)
    radii = 1 + labels + random.normal(0, 0.1, section.n_samples)
    inputs = np.stack([radii * np.cos(k * angles) for k in range(1, 5)], axis=1).astype(np.float32)
    return Source("rings", Split(inputs, labels.astype(np.int64)), n_classes=2)
'''
    },
    {
        "datamodules/config.py": (
            (
                "BuiltInData: TypeAlias = (",
                '''class RingsConfig(SplitConfig):
    """Points on two noisy rings."""

    loader: ClassVar[str] = "sweeps.datamodules.rings:load"
    n_features: ClassVar[int] = 4

    name: Literal["rings"] = "rings"
    n_samples: Samples = 600


''',
            ),
            ("    DigitsConfig\n    | MnistConfig", "    RingsConfig\n    | "),
        )
    },
)
NETWORK_FAMILY = Addition(
    {
        "models/networks/double.py": '''"""An autoencoder whose code is twice as wide as its setting says."""

from sweeps.models.config.double import DoubleConfig
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.shallow import ShallowAutoencoder


def build(section: DoubleConfig, shape: SampleShape, _n_classes: int | None) -> ShallowAutoencoder:
    """Return the network of a config section, with weights of 0."""
    return ShallowAutoencoder(shape.n_features, 2 * section.half_size, activation=section.activation)
''',
        "models/config/double.py": '''"""The section of the double autoencoder."""

from typing import ClassVar, Literal

from pydantic import PositiveInt

from sweeps.models.config.autoencoder import Activation, SingleNoiseConfig


class DoubleConfig(SingleNoiseConfig):
    """One hidden layer of twice `half_size` units."""

    network: ClassVar[str] = "sweeps.models.networks.double:build"
    size_setting: ClassVar[str] = "model.half_size"

    name: Literal["double"] = "double"
    half_size: PositiveInt = 2

    @property
    def code_size(self) -> int:
        """Units of the code."""
        return 2 * self.half_size

    @property
    def encoder_sizes(self) -> tuple[int, ...]:
        """The hidden layer alone."""
        return (self.code_size,)

    @property
    def hidden_activations(self) -> tuple[tuple[str, Activation], ...]:
        """That of the hidden layer."""
        return (("activation", self.activation),)
''',
    },
    {
        "models/config/__init__.py": (
            (
                "from sweeps.models.config.linear import LinearConfig",
                "from sweeps.models.config.double import DoubleConfig\n",
            ),
            ("LinearConfig | ShallowConfig | DeepConfig", "DoubleConfig | "),
        )
    },
)
SEARCHER = Addition(
    {
        "search/searchers/corner_search.py": '''"""Corner search: the corners of the search space, in turn."""

from collections.abc import Mapping

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point, corner_points
from sweeps.search.searchers.independent import IndependentSearcher
from sweeps.search.searchers.interface import Ended


def corner_searcher(
    config: SweepConfig, ended: Mapping[int, Ended], unfinished: Mapping[int, Point]
) -> IndependentSearcher:
    """Return the searcher of the corners."""
    corners = list(corner_points(config.search))
    return IndependentSearcher(config, ended, unfinished, lambda index: corners[index % len(corners)])
'''
    },
    {
        "config/searchers.py": (
            (
                "AlgorithmConfig = Annotated[",
                '''class CornersConfig(SearcherConfig):
    """Take the corners of the search space in turn."""

    searcher: ClassVar[str] = "sweeps.search.searchers.corner_search:corner_searcher"

    name: Literal["corners"]


''',
            ),
            ('    Annotated[RandomConfig, Tag("random")]', '    Annotated[CornersConfig, Tag("corners")]\n    | '),
        )
    },
)
SCHEDULER = Addition(
    {
        "cluster/tune/schedulers/median.py": '''"""The median stopping rule (Golovin et al. 2017), Ray's own."""

from ray.tune.schedulers import MedianStoppingRule


def median_scheduler(config: object, *_: object) -> MedianStoppingRule:
    """Stop trials whose best objective is worse than the median of the others' running averages."""
    return MedianStoppingRule(time_attr="epoch", metric="objective", mode="min", grace_period=1)
'''
    },
    {
        "config/schedulers.py": (
            (
                "StoppingConfig = Annotated[",
                '''class MedianConfig(SchedulerConfig):
    """Stop trials that are worse than the median."""

    scheduler: ClassVar[str | None] = "sweeps.cluster.tune.schedulers.median:median_scheduler"

    name: Literal["median"]


''',
            ),
            ('    Annotated[NoStoppingConfig, Tag("none")]', '    Annotated[MedianConfig, Tag("median")]\n    | '),
        )
    },
)
GATE = Addition(
    edits={
        "registry/gates.py": (
            (
                "def _within(",
                '''def few_features(contest: Contest) -> Judgement:
    """Require fewer than a hundred features."""
    n_features = contest.benchmark.arrays.n_features
    outcome = GateOutcome.PASSED if n_features < 100 else GateOutcome.FAILED
    return Judgement(outcome, f"{n_features} features, limit 99", {"features": float(n_features)})


''',
            ),
            ('    "reloaded": reloaded,', '    "few features": few_features,\n'),
        )
    }
)
FIGURE = Addition(
    edits={
        "models/figures/drawings.py": (
            (
                "def weights(trial",
                '''def samples(trial: Trial) -> Picture:
    """Draw the original samples as a matrix."""
    return draw_matrix("Samples", trial.arrays["originals"])


''',
            ),
        ),
        "models/figures/table.py": (
            ('        Figure("weights"', '        Figure("samples", "best epoch", frozenset({"originals"})),\n'),
        ),
    }
)
COMMAND = Addition(
    edits={
        "cli/commands/inspect.py": (
            (
                "def evaluate(",
                '''def count(sweep: Sweep, as_json: Json = False) -> None:
    """Count a sweep's trials."""
    from sweeps.storage.layout import find
    from sweeps.tracking.results import load_result

    n_trials = len(load_result(find(sweep)).points)
    print_result({"trials": n_trials}, as_json, lambda: typer.echo(n_trials))


''',
            ),
        ),
        "cli/app.py": (("_add(inspect.evaluate,", '_add(inspect.count, "sweeps count latest")\n'),),
    }
)
# How many files each takes: a network family's section has a file of its own, and is listed in the union.
N_FILES = {
    "data set": (DATA_SET, 2),
    "network family": (NETWORK_FAMILY, 3),
    "searcher": (SEARCHER, 2),
    "scheduler": (SCHEDULER, 2),
    "gate": (GATE, 1),
    "figure": (FIGURE, 2),
    "command": (COMMAND, 2),
}
SWEEP = {
    "name": "added",
    "data": {"name": "rings"},
    "model": {"name": "double", "half_size": 1},
    "training": {"epochs": 2},
    "search": {"model.half_size": {"int": [1, 3]}, "training.learning_rate": {"loguniform": [1e-3, 1e-2]}},
    "objective": {"metric": "valid/mse"},
    "algorithm": {"name": "corners"},
    "stopping": {"name": "median"},
    "budget": {"trials": 3},
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package in a folder of its own."""
    return Path(shutil.copytree(PACKAGE, tmp_path / "copy" / "sweeps", ignore=shutil.ignore_patterns("__pycache__")))


def contents(package: Path) -> dict[str, str]:
    return {str(path.relative_to(package)): path.read_text() for path in package.rglob("*.py")}


@pytest.mark.parametrize(("addition", "n_files"), N_FILES.values(), ids=N_FILES)
def test_an_addition_touches_few_files(package: Path, addition: Addition, n_files: int) -> None:
    before = contents(package)
    addition.apply(package)
    after = contents(package)
    touched = {name for name in before | after if before.get(name) != after.get(name)}
    assert touched == addition.paths
    assert len(touched) == n_files


def test_a_sweep_runs_with_one_of_each(package: Path, home: Any, tmp_path: Path) -> None:
    for addition, _ in N_FILES.values():
        addition.apply(package)
    sweep_file = tmp_path / "added.json"
    sweep_file.write_text(json.dumps(SWEEP))

    def run(*arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "sweeps", *arguments, "--json"],
            env=home.environment | {"PYTHONPATH": str(package.parent)} | {"HOME": os.environ.get("HOME", "/")},
            cwd=package.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed

    printed = run("run", str(sweep_file))
    assert (printed["state"], printed["trials"], printed["failed"]) == ("FINISHED", 3, 0)
    assert run("count", printed["sweep"]) == {"trials": 3}
    runs = home.runs("added")
    assert sorted(r.data.params["model.half_size"] for r in runs.values()) == ["1", "1", "3"]  # corners
    drawn = {
        artifact.path
        for r in runs.values()
        for artifact in MlflowClient(home.uri).list_artifacts(r.info.run_id, "detailed")
    }
    assert "detailed/samples.png" in drawn
    promotion = run("promote", printed["sweep"], "--model", "added", "--first", "--force")
    assert ("few features", "passed") in [(gate["name"], gate["outcome"]) for gate in promotion["gates"]]
