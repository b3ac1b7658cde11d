"""What a person sees of points that were trained on several seeds: their means, intervals and the verdict."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.analysis.axes import SEED
from sweeps.analysis.seeds import CONFIDENCE, MeanOverSeeds, in_words
from sweeps.cli.display.console import open_console
from sweeps.cli.display.trial import number
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.results import SweepResult


def print_confirmation(result: SweepResult, ranked: Sequence[MeanOverSeeds], confirmed: SweepResult) -> None:
    """Print the leaders of a sweep as ranked by their means over new seeds, beside their values there."""
    console = open_console()
    counts = f"{result.n_ended} of {result.config.n_trials} trials ended, {result.count(PointState.FAILED)} failed"
    console.print(Text(result.sweep, style="bold") + Text(f" {result.record.state}: {counts}"), highlight=False)
    print_means(console, result, ranked, confirmed)
    console.print(result.where_to_look(), soft_wrap=True, highlight=False)


def print_means(
    console: Console, result: SweepResult, ranked: Sequence[MeanOverSeeds], confirmed: SweepResult | None = None
) -> None:
    """Print a table of means over seeds and the verdict in words; also the values in the sweep that is confirmed."""
    metric = result.objective_metrics[0]
    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    table.add_column("point", overflow="fold")
    for heading in ("seeds", f"mean {metric}", f"{CONFIDENCE * 100:g} % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    if confirmed is not None:
        table.add_column(f"in {confirmed.config.name}", justify="right", overflow="fold")
    for place, mean in enumerate(ranked, start=1):
        tie = " tie" if mean.is_tied and place > 1 else ""
        seeds = (
            f"{len(mean.values)}" if len(mean.values) == len(mean.trials) else f"{len(mean.values)}/{len(mean.trials)}"
        )
        row = [f"{place}{tie}", mean.label, seeds, number(mean.mean), f"{number(mean.low)} to {number(mean.high)}"]
        table.add_row(*row, *([] if confirmed is None else [_before(mean, confirmed)]))
    console.print(table)
    console.print(in_words(ranked), soft_wrap=True, highlight=False, markup=False)


def _before(mean: MeanOverSeeds, confirmed: SweepResult) -> str:
    """Return the value and rank that a point had with the seed by which it was chosen."""
    for rank, trial in enumerate(confirmed.ranking, start=1):
        if {path: value for path, value in trial.point.items() if path != SEED} == mean.point:
            return f"{number(trial.metrics[confirmed.objective_metrics[0]])} (rank {rank}, {trial.trial})"
    return ""
