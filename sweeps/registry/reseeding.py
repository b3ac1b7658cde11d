"""Whether a point's result depends on its seed: the point is trained again on other seeds, as a sweep of its own."""

from collections.abc import Callable
from dataclasses import replace

from sweeps.config import SweepConfig
from sweeps.evaluation import load_best_network
from sweeps.launch import run
from sweeps.registry.benchmark import Benchmark
from sweeps.registry.contest import Contest, Reseeding
from sweeps.registry.rediagnosis import rediagnose
from sweeps.registry.sample_losses import network_predictor
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult


def reseed(contest: Contest, n_seeds: int, uri: str, watch: Callable[[Progress], None] | None = None) -> Reseeding:
    """Train the challenger's point on the `n_seeds` seeds after its own, here or on the cluster at RAY_ADDRESS."""
    return median_seed(contest, run(seeds_sweep(contest.benchmark, n_seeds), watch=watch, uri=uri), n_seeds)


def name_of_seeds_sweep(benchmark: Benchmark) -> str:
    """Return the name of the sweep over other seeds, at most as long as a name may be."""
    return f"{benchmark.sweep.name[:58]}-seeds"


def seeds_sweep(benchmark: Benchmark, n_seeds: int) -> SweepConfig:
    """Return the sweep over the `n_seeds` seeds after a trial's own, all else equal."""
    own = benchmark.trial.training.seed
    seeds = list(range(own + 1, own + 1 + n_seeds))
    changes = {
        "name": name_of_seeds_sweep(benchmark),
        "description": f"{benchmark.sweep.name} at one point on {n_seeds} seeds, to be promoted.",
        "experiment": benchmark.sweep.experiment,
        "search": {"training.seed": {"grid": seeds}},
        "algorithm": {"name": "grid"},
        "stopping": {"name": "none"},
        "budget": {},
    }
    return SweepConfig.from_dict(benchmark.sweep.to_dict() | benchmark.trial.to_dict() | changes)


def median_seed(contest: Contest, again: SweepResult, n_seeds: int) -> Reseeding:
    """Find the seed with the median loss in the sweep `again`; of two in the middle, the worse."""
    benchmark = contest.benchmark
    networks = {ranked.trial: load_best_network(again, ranked.trial) for ranked in again.ranking}
    losses = {trial: float(benchmark.losses(network_predictor(net)).mean()) for trial, net in networks.items()}
    if not losses:
        return Reseeding(n_seeds, [], benchmark.trial.training.seed, median=None)
    median = sorted(again.ranking, key=lambda ranked: losses[ranked.trial])[len(losses) // 2]
    network, trial = networks[median.trial], again.config.trial_at(dict(median.point))
    rediagnosis = rediagnose(again, median, trial, benchmark.arrays, network)
    judged = replace(contest, network=network, rediagnosis=rediagnosis, packaged=None, reseed=None)
    return Reseeding(n_seeds, list(losses.values()), int(median.point["training.seed"]), judged)
