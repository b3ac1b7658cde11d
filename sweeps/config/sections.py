"""The trial config, and how a section is parsed. Imports nothing heavy."""

import json
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from sweeps.config.dotted_paths import not_a_setting
from sweeps.config.issues import Issue, issues_of
from sweeps.datamodules.config import DataConfig
from sweeps.errors import ConfigError
from sweeps.models.config import ModelConfig, Section, StackedDenoisingConfig, TrainingConfig

SectionT = TypeVar("SectionT", bound=Section)


class TrialConfig(Section):
    """Everything that one training needs."""

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The trial config of a plain dict; ConfigError tells everything that is wrong with it."""
        return parse(cls, document)

    @property
    def n_pretraining_epochs(self) -> int:
        """Epochs before those that `training.epochs` counts: of every layer of a stacked model together."""
        model = self.model
        return model.pretraining.epochs * len(model.hidden_sizes) if isinstance(model, StackedDenoisingConfig) else 0

    @property
    def n_epochs(self) -> int:
        """All epochs of a training, those of pre-training first."""
        return self.n_pretraining_epochs + self.training.epochs

    def to_dict(self) -> dict[str, Any]:
        """Every setting with its value, defaults too, as plain values that JSON can hold."""
        return self.model_dump(mode="json")


def parse(section: type[SectionT], document: Mapping[str, Any]) -> SectionT:
    """A section from a plain dict, types taken strictly; ConfigError tells everything that is wrong with it."""
    parsed, issues = try_parse(section, document)
    if parsed is None:
        raise ConfigError([str(issue) for issue in issues])
    return parsed


def try_parse(section: type[SectionT], document: Mapping[str, Any]) -> tuple[SectionT | None, list[Issue]]:
    """The section, or None and its issues."""
    try:
        # By way of JSON: there a list is a tuple and a string a path, and nothing else passes for what it is not.
        return section.model_validate_json(json.dumps(document), strict=True), []
    except ValidationError as error:
        return None, issues_of(error, document, lambda path: not_a_setting(path, section, document))
