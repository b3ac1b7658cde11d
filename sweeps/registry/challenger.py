"""A challenger, and the record that its registered version keeps: its origin and its gates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from sweeps.config.plugin_source import plugins_at
from sweeps.datamodules.table_encoding import TableEncoding
from sweeps.evaluation import best_network_path, data_of, load_best_network, ranked_trial
from sweeps.models.networks.network import Network
from sweeps.registry.alias_history import Move, MoveKind, now
from sweeps.registry.benchmark import Benchmark, data_identity
from sweeps.registry.gates import GateResult, failed
from sweeps.registry.mlflow_registry import NETWORK_TAG, RUN_TAG
from sweeps.registry.packaged_plugin import changed_since, plugin_of
from sweeps.registry.packaging import Package
from sweeps.registry.promotion_log import Evidence, gate_tags, is_gate_tag
from sweeps.registry.rediagnosis import Rediagnosis, rediagnose
from sweeps.tracking.journal.records import PointRecord
from sweeps.tracking.person import Person
from sweeps.tracking.plugin_tags import tags_of
from sweeps.tracking.results import RankedTrial, SweepResult
from sweeps.tracking.submission import COMMIT_TAG as SUBMITTED_COMMIT

ALIAS_TAG, PACKAGE_TAG = "sweeps.alias", "sweeps.package_sha256"
_COMMIT_TAG = "mlflow.source.git.commit"


@dataclass(frozen=True)
class Challenger:
    """A trial at its best epoch, with its network; `digest` is the SHA-256 checksum of the network's file."""

    result: SweepResult
    ranked: RankedTrial
    benchmark: Benchmark
    network: Network
    digest: str

    @classmethod
    def of(cls, result: SweepResult, point: PointRecord) -> "Challenger":
        """Load a finished trial's network and its data. Raises InputError, DataError if one of them is missing."""
        ranked = ranked_trial(result, point.point_id)
        network = load_best_network(result, ranked.trial)
        benchmark = Benchmark(
            result.config, result.config.trial_at(dict(ranked.point)), data_of(result), network.code_size
        )
        digest = sha256(best_network_path(result, ranked.trial).read_bytes()).hexdigest()
        return cls(result, ranked, benchmark, network, digest)

    @property
    def record(self) -> PointRecord:
        """What the journal has of the trial."""
        return next(point for point in self.result.points if point.point_id == self.ranked.trial)

    @property
    def changed_plugin(self) -> str | None:
        """A line that says that the source of a plug-in network has changed since its training; None if it has not."""
        plugin = plugin_of(self.benchmark.trial.model)
        return None if plugin is None else changed_since(plugin, {**self.result.record.tags, **self.record.tags})

    def rediagnose(self) -> Rediagnosis:
        """Diagnose the network at its best epoch."""
        return rediagnose(self.result, self.ranked, self.benchmark.trial, self.benchmark.arrays, self.network)

    @property
    def package(self) -> Package:
        """The network, ready to be saved as an MLflow model."""
        arrays = self.benchmark.arrays
        table = None if arrays.table is None else TableEncoding.from_dict(arrays.table)
        return Package(self.network, self.benchmark.trial.model, arrays.scale, arrays.valid.inputs, table)


def version_tags(
    challenger: Challenger,
    alias: str,
    gates: Sequence[GateResult],
    replaced: str | None,
    person: Person,
    package_sha256: str,
) -> dict[str, str]:
    """Return the tags of a version: its origin, its gates, who promoted it when, and the SHA-256 of its files.

    The SHA-256 is for information: whoever changes files can change tags too. So is the source of its plug-ins.
    """
    point, trial = challenger.record, challenger.benchmark.trial
    tags = {
        "sweeps.sweep": challenger.result.sweep,
        "sweeps.trial": challenger.ranked.trial,
        RUN_TAG: challenger.ranked.run_id or "",
        "sweeps.epoch": str(challenger.ranked.epoch),
        "sweeps.commit": point.tags.get(_COMMIT_TAG) or point.tags.get(SUBMITTED_COMMIT, "unknown"),
        ALIAS_TAG: alias,
        "sweeps.replaced": replaced or "none",
        "sweeps.forced": str(bool(failed(gates))).lower(),
        "sweeps.promoted_by": str(person),
        "sweeps.promoted_at": now(),
        NETWORK_TAG: challenger.digest,
        PACKAGE_TAG: package_sha256,
    }
    tags |= tags_of(plugins_at(challenger.result.config, trial))
    return tags | gate_tags([gate.to_dict() for gate in gates]) | data_identity(challenger.benchmark.arrays)


def evidence(
    tags: Mapping[str, str], gates: Sequence[GateResult], person: Person, package_sha256: str | None
) -> Evidence:
    """Return what the log of promotions records of a version with these tags."""
    return Evidence(
        person,
        tags["sweeps.commit"],
        tags[NETWORK_TAG],
        package_sha256,
        [gate.to_dict() for gate in gates],
        {name: value for name, value in tags.items() if not is_gate_tag(name)},
    )


def is_same(tags: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether two versions, by their tags, hold the same network for the same alias."""
    names = (NETWORK_TAG, ALIAS_TAG)
    return all(tags.get(name) == wanted[name] for name in names)


def description(challenger: Challenger, gates: Sequence[GateResult]) -> str:
    """Describe a version in Markdown: the reason for its promotion, and a table of its gates."""
    ranked = challenger.ranked
    rows = [f"| {gate.name} | {gate.outcome} | {gate.sentence} |" for gate in gates]
    first = f"{ranked.run_name or ranked.trial} of {challenger.result.sweep}: {reason(gates)}"
    return "\n".join([first, "", "| gate | outcome | why |", "|---|---|---|", *rows])


def move_of(
    challenger: Challenger, version: str, replaced: str | None, gates: Sequence[GateResult], person: Person
) -> Move:
    """Return the move of the alias to the challenger's `version`."""
    return Move(
        version,
        replaced,
        MoveKind.FORCED if failed(gates) else MoveKind.PROMOTION,
        reason(gates),
        sweep=challenger.result.sweep,
        trial=challenger.ranked.trial,
        run_id=challenger.ranked.run_id,
        when=now(),
        who=str(person),
    )


def reason(gates: Sequence[GateResult]) -> str:
    """Return the reason for a promotion in one line: the failed gates it was forced past, or the comparison it won."""
    failures = failed(gates)
    if failures:
        return "past failed gates: " + "; ".join(f"{gate.name}: {gate.sentence}" for gate in failures)
    return next(gate.sentence for gate in gates if gate.name == "champion")
