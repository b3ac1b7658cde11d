"""Sections built in Python: the types and messages of a sweep file."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.config import (
    ArrayConfig,
    DeepConfig,
    DigitsConfig,
    NoiseConfig,
    RowsConfig,
    ShallowConfig,
    TrainingConfig,
    load,
)
from sweeps.errors import ConfigError


@pytest.mark.parametrize(
    ("build", "issues"),
    [
        (
            lambda: TrainingConfig(epochs=True, batch_size="50"),  # type: ignore[arg-type]
            [
                "TrainingConfig: epochs must be a whole number, not true",
                'TrainingConfig: batch_size must be a whole number, not "50"',
            ],
        ),
        (
            lambda: TrainingConfig(epohs=3),  # type: ignore[call-arg]
            ["TrainingConfig: epohs is not a setting. Did you mean epochs?"],
        ),
        (
            lambda: ShallowConfig(noise={"lvel": 0.1}),  # type: ignore[arg-type]
            ["ShallowConfig: noise.lvel is not a setting. Did you mean noise.level?"],
        ),
        (lambda: RowsConfig(), ["RowsConfig: rows must be given"]),  # type: ignore[call-arg]
        (lambda: DigitsConfig(seed=1.5), ["DigitsConfig: seed must be a whole number, not 1.5"]),  # type: ignore[arg-type]
    ],
)
def test_each_mistake_is_one_line(build: Callable[[], object], issues: list[str]) -> None:
    with pytest.raises(ConfigError) as refusal:
        build()
    assert list(refusal.value.issues) == issues


def test_values_of_python_and_numpy_are_accepted() -> None:
    sizes: Any = np.array([5, 4])
    assert DeepConfig(hidden_sizes=sizes, noise=NoiseConfig(level=0.5)) == DeepConfig.model_validate(
        {"hidden_sizes": [5, 4], "noise": {"level": 0.5}}
    )
    assert ArrayConfig(path=Path("x.npy")).path == Path("x.npy")
    section = ShallowConfig(hidden_size=8)
    assert section.model_fields_set == {"hidden_size"}
    assert pickle.loads(pickle.dumps(section)) == section.model_copy() == section  # noqa: S301


def test_parsing_a_file_checks_no_section_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.config.python_calls.read_settings", None)
    assert load("quickstart", {"training.epochs": 3}).training.epochs == 3


@pytest.mark.parametrize("section", ["training", "data"])
def test_an_assignment_says_how_to_change_a_setting(section: str) -> None:
    settings = getattr(load("quickstart"), section)
    with pytest.raises(ConfigError, match=r'seed must not be assigned.*sweeps\.load\("quickstart", \{') as refusal:
        settings.seed = 3
    assert len(refusal.value.issues) == 1
