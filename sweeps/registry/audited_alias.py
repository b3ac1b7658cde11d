"""An alias of a model in MLflow, beside what the log of promotions has of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mlflow.entities.model_registry import ModelVersion

from sweeps.registry.logged_moves import LoggedMove, last_move_of_namesake, logged_moves
from sweeps.registry.mlflow_registry import RegisteredModel, RegistryStore
from sweeps.storage.chained_log import LogEntry


@dataclass(frozen=True)
class AuditedAlias:
    """What is compared: the alias of a model in MLflow, and the entries of the log at `location`."""

    store: RegistryStore
    model: RegisteredModel
    alias: str
    entries: Sequence[LogEntry]
    location: str
    _versions: dict[str, ModelVersion | None] = field(default_factory=dict)

    @cached_property
    def logged(self) -> list[LoggedMove]:
        """The moves in the log."""
        return logged_moves(self.entries, self.model, self.alias)

    @cached_property
    def last_of_earlier_model(self) -> LoggedMove | None:
        """The last move that was made of this alias of an earlier model of the same name; None if the log has none."""
        return last_move_of_namesake(self.entries, self.store.uri, self.model, self.alias)

    @property
    def made(self) -> list[LoggedMove]:
        """The moves in the log that were made."""
        return [move for move in self.logged if move.made]

    @property
    def holder(self) -> str | None:
        """The version at which the alias points in MLflow."""
        return self.model.aliases.get(self.alias)

    def version(self, number: str) -> ModelVersion | None:
        """Return a version in MLflow; None if it was deleted."""
        if number not in self._versions:
            self._versions[number] = self.store.version(self.model.name, number)
        return self._versions[number]
