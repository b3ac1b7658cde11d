"""A request for a promotion, and its result."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sweeps.registry.gates import GateResult, failed
from sweeps.tracking.short_text import fitted, wrapped

_HEIGHT = 30  # the reasons of failed gates are shown in full


class PromotionVerdict(StrEnum):
    """How a promotion ended."""

    PROMOTED = "promoted"
    REFUSED = "refused"
    WOULD_BE_PROMOTED = "would be promoted"
    WOULD_BE_REFUSED = "would be refused"
    ALREADY = "holds the alias already"


@dataclass(frozen=True)
class Request:
    """Which alias of which registered model to move, and how.

    `first` allows a promotion when no version holds the alias, `force` one despite failed gates; `dry_run` only judges.
    `n_seeds` overrides `promotion.seeds` of the sweep file. `plugin` is a plug-in network that may be imported for a
    champion that this SWEEPS_HOME has not promoted.
    """

    model: str
    alias: str = "champion"
    first: bool = False
    dry_run: bool = False
    force: bool = False
    n_seeds: int | None = None
    plugin: str | None = None


@dataclass(frozen=True)
class Promotion:
    """The verdict on a challenger and the gates behind it.

    `version` is None if none was registered; `replaced` is the champion that the challenger was judged against.
    `advice` is what to do after a refusal. `package_sha256` is the digest of the files that were judged.
    """

    request: Request
    sweep: str
    trial: str
    run_id: str | None
    verdict: PromotionVerdict
    gates: Sequence[GateResult]
    version: str | None
    replaced: str | None
    advice: str | None = None
    package_sha256: str | None = None

    @property
    def is_forced(self) -> bool:
        """Whether the challenger was promoted despite failed gates."""
        return self.verdict is PromotionVerdict.PROMOTED and bool(failed(self.gates))

    @property
    def exit_status(self) -> int:
        """The exit status of `sweeps promote`: 1 if the challenger was refused, or would be."""
        return 1 if self.verdict in (PromotionVerdict.REFUSED, PromotionVerdict.WOULD_BE_REFUSED) else 0

    def __repr__(self) -> str:
        return fitted(self._lines(), _HEIGHT)

    def _lines(self) -> Iterator[str]:
        version = "" if self.version is None else f", version {self.version}"
        is_forced = self.verdict in (PromotionVerdict.PROMOTED, PromotionVerdict.WOULD_BE_PROMOTED) and failed(
            self.gates
        )
        yield f"Promotion {self.sweep}/{self.trial} to {self.request.model}@{self.request.alias}"
        yield f"  {self.verdict}{' past failed gates (forced)' if is_forced else ''}{version}"
        for gate in failed(self.gates):
            yield from wrapped(f"{gate.outcome}: {gate.name}: {gate.sentence}", hanging="  ")
        if self.advice is not None:
            yield from wrapped(self.advice)
        for gate in self.gates:
            if gate.passes:
                yield f"  {gate.outcome}: {gate.name}: {gate.sentence}"

    def to_dict(self) -> dict[str, Any]:
        """Return the promotion as plain values."""
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
            "advice": self.advice,
            "package_sha256": self.package_sha256,
        }
