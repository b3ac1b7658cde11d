"""What a person sees of one sweep: its progress, its result, its ranking, what MLflow has of it."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.analysis.seeds import rank_by_mean
from sweeps.cli.display.console import open_console
from sweeps.cli.display.quote import quoted_line
from sweeps.cli.display.seeds import print_means
from sweeps.cli.display.submission import submission_line
from sweeps.cli.display.trial import number
from sweeps.models.diagnosis.findings import serious_names
from sweeps.tracking.journal.records import PointState, SweepState
from sweeps.tracking.plugin_tags import plugin_lines
from sweeps.tracking.results import RankedTrial, SweepResult
from sweeps.tracking.submission import described
from sweeps.tracking.unranked import why_unranked

ALSO_SHOWN = ("valid/mse",)


def print_summary(result: SweepResult) -> None:
    """Print the result of a sweep that has just ended."""
    console = open_console()
    _print_state(console, result)
    if result.ranking:
        _print_ranking(console, result, top=5)
    _print_failed(console, result)
    console.print(result.where_to_look(), soft_wrap=True, highlight=False)


def print_status(result: SweepResult) -> None:
    """Print a sweep's progress, its failed trials and its best one."""
    console = open_console()
    _print_state(console, result)
    if line := submission_line(described(result.record.tags)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for line in plugin_lines(result.record.tags):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for point in result.points:
        if point.state is PointState.FAILED:
            line = f"  trial {point.point_id} ({point.label}) failed: {point.reason}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if result.ranking:
        console.print(_ranking_table(result.ranking[:1], result))
    if result.leader is not None:
        console.print("best running trial:", highlight=False)
        console.print(_ranking_table([result.leader], result))
    console.print(result.where_to_look(), soft_wrap=True, highlight=False)


def print_ranking(result: SweepResult, top: int) -> None:
    """Print the best trials of a sweep."""
    console = open_console()
    if result.ranking:
        _print_ranking(console, result, top)
    else:
        console.print(f"{result.sweep}: {why_unranked(result)}", soft_wrap=True, highlight=False, markup=False)
    if means := rank_by_mean(result):
        console.print("\nMeans over seeds:", highlight=False)
        print_means(console, result, means)
    _print_failed(console, result)
    if result.tracking_uri.startswith("http"):
        console.print(result.where_to_look(), soft_wrap=True, highlight=False)


def print_delivery(result: SweepResult, error: str | None) -> None:
    """Print how many records MLflow still lacks after `sweeps sync`, and the error that ended it."""
    if result.n_undelivered:
        line = f"{result.n_undelivered} records of {result.sweep} are undelivered: {error}"
    elif result.refusals:
        line = _refusals(result)
    else:
        line = f"MLflow has everything of {result.sweep}"
    open_console().print(line, highlight=False, markup=False)


def _refusals(result: SweepResult) -> str:
    return f"MLflow refused {len(result.refusals)} records of {result.sweep}; the first: {result.refusals[0]}"


def _print_state(console: Console, result: SweepResult) -> None:
    counts = f"{result.n_ended} of {result.config.n_trials} trials ended, {result.count(PointState.FAILED)} failed"
    running = result.count(PointState.RUNNING)
    counts += f", {running} running" if running else ""
    seconds = "" if result.seconds is None else f", {result.seconds:.0f} s"
    ended_by = "" if result.ended_by is None else f", ended by {result.ended_by}"
    state = Text(f" {result.record.state}: {counts}{seconds}{ended_by}")
    console.print(Text(result.sweep, style="bold") + state, highlight=False, soft_wrap=True)
    if line := quoted_line(result):
        console.print(line, highlight=False)
    if result.record.state is SweepState.INTERRUPTED:
        console.print(f"continue with `sweeps resume {result.sweep}`", soft_wrap=True, highlight=False)
    if result.refusals:
        console.print(_refusals(result), style="yellow", highlight=False, markup=False)
    if result.n_undelivered:
        is_running = result.record.state is SweepState.RUNNING
        how = "delivered while the sweep runs" if is_running else f"deliver them with `sweeps sync {result.sweep}`"
        line = f"{result.n_undelivered} undelivered records: {how}"
        console.print(line, style="yellow", soft_wrap=True, highlight=False)


def _print_ranking(console: Console, result: SweepResult, top: int) -> None:
    """Print the first `top` trials of a ranking, how many follow, and the findings on those printed."""
    console.print(_ranking_table(result.ranking[:top], result))
    if len(result.objective_metrics) > 1:
        console.print("* on the Pareto front: no other trial is as good in all objectives and better in one")
    if result.ties is not None and (tie := result.ties.in_words()):
        console.print(tie, highlight=False, markup=False, soft_wrap=True)
    if n_more := len(result.ranking[top:]):
        line = f"and {n_more} more: `sweeps best {result.sweep} --top {len(result.ranking)}`"
        console.print(line, highlight=False, soft_wrap=True)
    _print_findings(console, result, top)


def _print_failed(console: Console, result: SweepResult) -> None:
    if failed := result.count(PointState.FAILED):
        line = f"{failed} failed: `sweeps status {result.sweep}` shows which, and why"
        console.print(line, style="red", highlight=False, soft_wrap=True)


def _ranking_table(trials: Sequence[RankedTrial], result: SweepResult) -> Table:
    """Return a table of rank, trial, point, ranked epoch of those trained, objectives and what stopped the trial."""
    names = [*result.objective_metrics, *(name for name in ALSO_SHOWN if name not in result.objective_metrics)]
    table = Table(box=None, pad_edge=False)
    for heading in ("", "trial", "point"):
        table.add_column(heading, overflow="fold")
    for heading in ("epoch", *names):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("stopped by", overflow="fold")
    tied = result.ties.tied if len(trials) > 1 and result.ties is not None else ()
    for rank, trial in enumerate(trials, start=1):
        mark = "*" if len(result.objective_metrics) > 1 and trial in result.front else str(rank)
        mark += " tie" if trial.trial in tied else ""
        values = (number(trial.metrics.get(name)) for name in names)
        epoch = f"{trial.epoch}/{trial.epochs}"
        table.add_row(mark, trial.trial, trial.label, epoch, *values, trial.stopped_by or "")
    return table


def _print_findings(console: Console, result: SweepResult, top: int) -> None:
    """Print each finding above a note on the trials shown, with those that have it: the best trial's gravest first."""
    trials: dict[str, list[str]] = {}
    for ranked in result.ranking[:top]:
        for name in serious_names(ranked.diagnosis or ()):
            trials.setdefault(name, []).append(ranked.trial)
    if not trials:
        return
    heading = f"\nDiagnosis (evidence and advice: `sweeps diagnose {result.sweep}/TRIAL`):"
    console.print(heading, highlight=False, markup=False, soft_wrap=True)
    for name, ids in trials.items():
        console.print(f"  {name}: {', '.join(ids)}", highlight=False, markup=False, soft_wrap=True)
