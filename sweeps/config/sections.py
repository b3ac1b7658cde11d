"""The trial config, and how a section is parsed. Imports nothing heavy."""

import json
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError

from sweeps.config.dotted_paths import not_a_setting
from sweeps.config.issues import Issue, issues_of
from sweeps.datamodules.config import DataConfig
from sweeps.errors import ConfigError
from sweeps.models.config import ModelConfig, TrainingConfig
from sweeps.section import Section

SectionT = TypeVar("SectionT", bound=BaseModel)

# A data section that is parsed quickly, where the rest of a trial config is checked.
SMALLEST_DATA = {"name": "digits"}


class TrialConfig(Section):
    """Everything that the training of one point needs."""

    data: DataConfig = Field(description="The data set, and how it is split.")
    model: ModelConfig = Field(description="The network family and its settings.")
    training: TrainingConfig = Field(default=TrainingConfig(), description="How each network is trained.")

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Return the trial config of a plain dict; ConfigError lists everything wrong with it."""
        return parse(cls, document)

    @property
    def n_pretraining_epochs(self) -> int:
        """The epochs before `training.epochs`: those of all layers of a stacked model."""
        return self.model.n_pretraining_epochs

    @property
    def n_epochs(self) -> int:
        """All epochs: pretraining, then `training.epochs`."""
        return self.n_pretraining_epochs + self.training.epochs

    def to_dict(self) -> dict[str, Any]:
        """Return every setting, defaults included, as plain JSON values."""
        return self.model_dump(mode="json")


def parse(section: type[SectionT], document: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> SectionT:
    """Return a section from a plain dict, without converting types; ConfigError lists everything wrong with it.

    `context` decides which plug-ins are imported (see `plugin_import`), by default those that the section names.
    """
    parsed, issues = try_parse(section, document, context)
    if parsed is None:
        raise ConfigError([str(issue) for issue in issues])
    return parsed


def try_parse(
    section: type[SectionT], document: Mapping[str, Any], context: Mapping[str, Any] | None = None
) -> tuple[SectionT | None, list[Issue]]:
    """Return the section, or None and its issues."""
    try:
        # Through JSON: there strict mode reads a list as a tuple and a string as a path, and converts nothing else.
        return section.model_validate_json(json.dumps(document), strict=True, context=context), []
    except ValidationError as error:
        return None, issues_of(error, document, lambda path: not_a_setting(path, section, document))
