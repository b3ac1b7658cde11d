"""A registry in memory, of one model, to be interrupted at any step of a move, and edited as MLflow's can be."""

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sweeps.registry.alias_history import Move, MoveKind
from sweeps.registry.alias_lock import Lock
from sweeps.registry.alias_move import move
from sweeps.registry.audit import Audit, CheckOutcome, audit
from sweeps.registry.mlflow_registry import RegisteredModel
from sweeps.registry.package_digest import package_digest
from sweeps.registry.promotion_log import Evidence, gate_tags
from sweeps.tracking.person import Person, Source

ANN = Person("ann", Source.ACCOUNT)
GATES = [{"name": "dead units", "outcome": "passed", "sentence": "0 %", "numbers": {"limit": 0.5, "worst": None}}]
HELD = Lock("lock", time.monotonic(), math.inf, 0)


class Killed(BaseException):
    """The end of the process."""


@dataclass
class MemoryRegistry:
    """A registry of the model `digits`. Its `files` are those of every version.

    Request number `ends_at`, from 1, ends the process: before it has an effect, or if it `reaches`, after that.
    """

    files: Path
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    created_ms: int = 7
    uri: str = "sqlite:////nowhere/mlflow.db"
    ends_at: int | None = None
    reaches: bool = False
    error: type[BaseException] = Killed
    download_error: Exception | None = None
    n_requests: int = 0

    def find(self, name: str) -> RegisteredModel | None:
        """Return the model as it is now."""
        return RegisteredModel(name, self.created_ms, dict(self.tags), dict(self.aliases))

    def version(self, name: str, number: str) -> Any:
        """Return a version; None if there is none of that number."""
        return SimpleNamespace(tags=dict(self.versions[number])) if number in self.versions else None

    def set_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag of the model."""
        self.request(lambda: self.tags.update({key: value}))

    def set_version_tag(self, name: str, number: str, key: str, value: str) -> None:
        """Set a tag of a version."""
        self.request(lambda: self.versions[number].update({key: value}))

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version."""
        self.request(lambda: self.aliases.update({alias: version}))

    def download_version(self, version: Any, folder: Path) -> Path:
        """Return the files of a version; raise `download_error` if there is one."""
        if self.download_error is not None:
            raise self.download_error
        return self.files

    def request(self, effect: Callable[[], Any]) -> Any:
        """Carry out a request, or end the process before or after that."""
        self.n_requests += 1
        ends = self.n_requests == self.ends_at
        if ends and not self.reaches:
            raise self.error("gone")
        result = effect()
        if ends:
            raise self.error("gone")
        return result

    def promote(self, number: str, alias: str = "champion", who: Person = ANN) -> None:
        """Promote a new version of this number; raises what ends the process."""
        self.n_requests = 0
        evidence, model = evidence_of(self.files, who), self.find("digits")
        self.versions[number] = dict(evidence.tags) | gate_tags(evidence.gates)
        step = Move(number, self.aliases.get(alias), MoveKind.PROMOTION, "better", "s", "0001", "r", "2026", str(who))
        store: Any = self
        move(store, HELD, model, alias, step, evidence)  # type: ignore[arg-type]

    def try_to_promote(self, number: str) -> None:
        """Promote a new version of this number, unless the process ends."""
        with suppress(self.error):
            self.promote(number)
        self.ends_at = None

    def audit(self, alias: str = "champion") -> Audit:
        """Audit an alias."""
        store: Any = self
        return audit(store, "digits", alias)

    def failures(self, alias: str = "champion") -> list[str]:
        """Return the failed checks of an alias, each as one line."""
        return [
            f"{check.name}: {check.sentence}"
            for check in self.audit(alias).checks
            if check.outcome is CheckOutcome.FAILED
        ]

    def edit_move(self, number: int, **fields: Any) -> None:
        """Edit the tag of a move, as anyone can in MLflow."""
        key = f"sweeps.history.champion.{number:05d}"
        self.tags[key] = json.dumps(json.loads(self.tags[key]) | fields)


def evidence_of(files: Path, who: Person = ANN) -> Evidence:
    """Return the evidence of a promotion."""
    tags = {"sweeps.sweep": "s", "sweeps.promoted_by": str(who), "sweeps.network": "ab", "sweeps.commit": "c0ffee1"}
    return Evidence(who, "c0ffee1", "ab", package_digest(files), GATES, tags)
