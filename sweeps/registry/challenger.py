"""A challenger, and what a registered version remembers of it: where it came from and what it was judged by."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from sweeps.evaluation import data_of, load_best_network, ranked_trial
from sweeps.models.networks.network import Network
from sweeps.registry.alias_history import GATES_TAG, Move, MoveKind, now
from sweeps.registry.contest import Contest, data_identity
from sweeps.registry.gates import Gate, closed
from sweeps.registry.mlflow_registry import NETWORK_TAG, RUN_TAG
from sweeps.registry.names import who
from sweeps.registry.packaging import Package
from sweeps.registry.rediagnosis import Examined, examine
from sweeps.storage.layout import find
from sweeps.tracking.journal.records import PointRecord
from sweeps.tracking.results import RankedTrial, SweepResult

ALIAS_TAG = "sweeps.alias"
_COMMIT_TAG = "mlflow.source.git.commit"


@dataclass(frozen=True)
class Challenger:
    """A trial at its best epoch; `digest` is the checksum of the file that holds its network."""

    result: SweepResult
    ranked: RankedTrial
    contest: Contest
    network: Network
    digest: str

    @classmethod
    def of(cls, result: SweepResult, point: PointRecord) -> "Challenger":
        """The network that a finished trial has kept, with the data to judge it by; InputError, DataError without."""
        ranked = ranked_trial(result, point.point_id)
        network = load_best_network(result, ranked.trial)
        contest = Contest(result.config, result.config.trial_at(dict(ranked.point)), data_of(result))
        digest = sha256(find(result.sweep).point(ranked.trial).best_network.read_bytes()).hexdigest()
        return cls(result, ranked, contest, network, digest)

    @property
    def examined(self) -> Examined:
        """Its findings at its best epoch, found afresh, and those of its training's end."""
        return examine(self.result, self.ranked, self.contest.trial, self.contest.arrays, self.network)

    @property
    def package(self) -> Package:
        """Its network, ready to be saved."""
        arrays = self.contest.arrays
        return Package(self.network, arrays.scale, arrays.valid.inputs)


def version_tags(challenger: Challenger, alias: str, gates: Sequence[Gate], replaced: str | None) -> dict[str, str]:
    """What a version remembers of how it came to be."""
    point = next(point for point in challenger.result.points if point.point_id == challenger.ranked.trial)
    tags = {
        "sweeps.sweep": challenger.result.sweep,
        "sweeps.trial": challenger.ranked.trial,
        RUN_TAG: challenger.ranked.run_id or "",
        "sweeps.epoch": str(challenger.ranked.epoch),
        "sweeps.commit": point.tags.get(_COMMIT_TAG, "unknown"),
        ALIAS_TAG: alias,
        "sweeps.replaced": replaced or "none",
        "sweeps.forced": str(bool(closed(gates))).lower(),
        "sweeps.promoted_by": who(),
        "sweeps.promoted_at": now(),
        GATES_TAG: json.dumps([gate.to_dict() for gate in gates]),
        NETWORK_TAG: challenger.digest,
    }
    tags |= {f"sweeps.gate.{gate.name.replace(' ', '_')}": f"{gate.outcome}: {gate.sentence}" for gate in gates}
    return tags | data_identity(challenger.contest.arrays)


def is_same(tags: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a version holds the same network as the wanted one, for the same alias."""
    names = (NETWORK_TAG, ALIAS_TAG)
    return all(tags.get(name) == wanted[name] for name in names)


def description(challenger: Challenger, gates: Sequence[Gate]) -> str:
    """Why it holds the alias, and its gates as a table in Markdown, for those who browse the registry."""
    ranked = challenger.ranked
    rows = [f"| {gate.name} | {gate.outcome} | {gate.sentence} |" for gate in gates]
    first = f"{ranked.run_name or ranked.trial} of {challenger.result.sweep}: {reason(gates)}"
    return "\n".join([first, "", "| gate | outcome | why |", "|---|---|---|", *rows])


def move_of(challenger: Challenger, version: str, replaced: str | None, gates: Sequence[Gate]) -> Move:
    """The move of an alias to a version that the challenger has become."""
    return Move(
        version,
        replaced,
        MoveKind.FORCED if closed(gates) else MoveKind.PROMOTION,
        reason(gates),
        sweep=challenger.result.sweep,
        trial=challenger.ranked.trial,
        run_id=challenger.ranked.run_id,
        when=now(),
        who=who(),
    )


def reason(gates: Sequence[Gate]) -> str:
    """Why the alias moves, in one line: past which gates, or by which comparison."""
    shut = closed(gates)
    if shut:
        return "past failed gates: " + "; ".join(f"{gate.name}: {gate.sentence}" for gate in shut)
    return next(gate.sentence for gate in gates if gate.name == "champion")
