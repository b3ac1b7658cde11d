"""Whether a point's result is more than the luck of its seed: it is trained again on others, as a sweep of its own."""

from collections.abc import Callable

from sweeps.config import SweepConfig
from sweeps.evaluation import load_best_network
from sweeps.launch import run
from sweeps.registry import gates
from sweeps.registry.contest import Champion, Contest
from sweeps.registry.gates import Gate
from sweeps.registry.rediagnosis import examine
from sweeps.registry.sample_losses import of_network
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult


def retrain(contest: Contest, n_seeds: int, uri: str, watch: Callable[[Progress], None] | None = None) -> SweepResult:
    """Train a trial again on the `n_seeds` seeds after its own, here or on the cluster that RAY_ADDRESS names."""
    return run(seeds_sweep(contest, n_seeds), watch=watch, uri=uri)


def seeds_sweep(contest: Contest, n_seeds: int) -> SweepConfig:
    """The sweep over seeds, and nothing else."""
    own = contest.trial.training.seed
    seeds = list(range(own + 1, own + 1 + n_seeds))
    changes = {
        "name": f"{contest.sweep.name[:58]}-seeds",
        "description": f"{contest.sweep.name} at one point on {n_seeds} seeds, to be promoted.",
        "experiment": contest.sweep.experiment,
        "search": {"training.seed": {"grid": seeds}},
        "algorithm": {"name": "grid"},
        "stopping": {"name": "none"},
        "budget": {},
    }
    return SweepConfig.from_dict(contest.sweep.to_dict() | contest.trial.to_dict() | changes)


def judge_seeds(contest: Contest, again: SweepResult, champion: Champion | None, n_seeds: int, *, first: bool) -> Gate:
    """The gate of the median seed, by the loss that champions are compared by; of two in the middle, the worse."""
    networks = {trial.trial: load_best_network(again, trial.trial) for trial in again.ranking}
    losses = {trial: float(contest.losses(of_network(network)).mean()) for trial, network in networks.items()}
    if not losses:
        return gates.seeds([], seed=contest.trial.training.seed, losses=[], n_asked=n_seeds)
    ordered = sorted(again.ranking, key=lambda trial: losses[trial.trial])
    median = ordered[len(ordered) // 2]
    network, seed = networks[median.trial], int(median.point["training.seed"])
    trial = again.config.trial_at(dict(median.point))
    examined = examine(again, median, trial, contest.arrays, network)
    worth = contest.worth(of_network(network), champion, examined, first=first)
    return gates.seeds(worth, seed=seed, losses=list(losses.values()), n_asked=n_seeds)
