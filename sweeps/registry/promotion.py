"""What is asked of a promotion, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sweeps.registry.gates import Gate, closed


class Verdict(StrEnum):
    """What came of a promotion."""

    PROMOTED = "promoted"
    REFUSED = "refused"
    WOULD_BE_PROMOTED = "would be promoted"
    WOULD_BE_REFUSED = "would be refused"
    ALREADY = "holds the alias already"


@dataclass(frozen=True)
class Request:
    """What is asked for: which registered model and alias, and how."""

    model: str
    alias: str = "champion"
    first: bool = False
    dry_run: bool = False
    force: bool = False
    n_seeds: int | None = None


@dataclass(frozen=True)
class Promotion:
    """What came of a promotion: the verdict with its gates; `version` is None where none was registered.

    `replaced` is the champion that the challenger was judged against.
    """

    request: Request
    sweep: str
    trial: str
    run_id: str | None
    verdict: Verdict
    gates: Sequence[Gate]
    version: str | None
    replaced: str | None

    @property
    def is_forced(self) -> bool:
        """Whether a gate would have kept it out."""
        return self.verdict is Verdict.PROMOTED and bool(closed(self.gates))

    @property
    def exit_status(self) -> int:
        """What a command that promoted exits with."""
        return 1 if self.verdict in (Verdict.REFUSED, Verdict.WOULD_BE_REFUSED) else 0

    def to_dict(self) -> dict[str, Any]:
        """The promotion as plain values."""
        return {
            "model": self.request.model,
            "alias": self.request.alias,
            "verdict": str(self.verdict),
            "version": self.version,
            "replaced": self.replaced,
            "forced": self.is_forced,
            "sweep": self.sweep,
            "trial": self.trial,
            "run_id": self.run_id,
            "gates": [gate.to_dict() for gate in self.gates],
        }
