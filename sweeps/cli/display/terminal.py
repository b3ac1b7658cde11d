"""What a person sees on a terminal: the live table on standard error, results on standard output."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.storage.layout import storage
from sweeps.tracking.journal.records import PointState, SweepState
from sweeps.tracking.mlflow.run_metadata import diagnosis_text
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import RankedTrial, SweepResult
from sweeps.tracking.trial_lookup import TrialResult

if TYPE_CHECKING:
    from sweeps.cluster.jobs.submissions import SubmittedSweep
    from sweeps.evaluation import Evaluation  # which loads torch
    from sweeps.tracking.mlflow.run_lookup import TrackedSweep

REFRESHES_PER_SECOND = 4
ALSO_SHOWN = ("valid/mse",)


@contextmanager
def live() -> Iterator[Callable[[Progress], None]]:
    """A table of the running sweep, kept up to date; nothing where there is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    view = LiveView()
    with Live(view, console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True):
        yield view.watch


class LiveView:
    """Drawn anew at each refresh from counters that the sweep's thread writes."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def watch(self, progress: Progress) -> None:
        self._progress = progress

    def __rich__(self) -> Group | Text:
        return Text("loading data, starting Ray …", style="dim") if self._progress is None else _live(self._progress)


def _live(progress: Progress) -> Group:
    failed = progress.ended.get(PointState.FAILED, 0)
    counts = Table.grid(padding=(0, 2))
    counts.add_row(
        f"{progress.ended.get(PointState.FINISHED, 0)} done",
        f"{len(progress.running)} running{' in packs' if progress.packs else ''}",
        Text(f"{failed} failed", style="red" if failed else ""),
        f"{progress.n_to_come} to come",
        _time_left(progress.seconds_left()),
    )
    bar = Table.grid()
    bar.add_row(ProgressBar(total=progress.n_points, completed=progress.n_ended, width=72))
    lines: list[Table | Text] = [Text(progress.sweep_id, style="bold"), counts, bar]
    if progress.best_point is not None:
        metric = progress.objective.metric
        lines.append(Text(f"best so far: {metric} {progress.best_value:.6g}, trial {progress.best_point}"))
    return Group(*lines)


def summary(result: SweepResult) -> None:
    """What came of a sweep that has just ended."""
    console = Console()
    _state_lines(console, result)
    if result.ranking:
        _ranking(console, result, top=5)
    _failed_line(console, result)
    console.print(result.where_to_look(), soft_wrap=True, highlight=False)


def status(result: SweepResult) -> None:
    """How far a sweep is."""
    console = Console()
    _state_lines(console, result)
    for point in result.points:
        if point.state is PointState.FAILED:
            line = f"  trial {point.point_id} ({point.run_name}) failed: {point.reason}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if result.ranking:
        console.print(_ranking_table(result.ranking[:1], result))
    if result.leader is not None:
        console.print("best of those that run, so far:", highlight=False)
        console.print(_ranking_table([result.leader], result))


def ranking(result: SweepResult, top: int) -> None:
    """The best trials of a sweep."""
    console = Console()
    if result.ranking:
        _ranking(console, result, top)
    else:
        console.print(f"{result.sweep}: no trial has finished yet")
    _failed_line(console, result)


def diagnosis(trial: TrialResult) -> None:
    """What is wrong with a trial: each issue with its evidence and what to change."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{trial.sweep}/{trial.trial} ({trial.run_name}) {trial.state}", style="bold")
    if trial.reason is not None:
        console.print(f"{trial.reason}")
    if trial.diagnosis is not None:
        console.print(f"\n{diagnosis_text(trial.diagnosis)}", end="")
    elif trial.state is PointState.RUNNING:
        console.print("It still runs: the diagnosis comes when it has ended.")
    else:
        console.print("It ended before it could be examined.")


def evaluation(evaluation: "Evaluation", result: SweepResult) -> None:
    """What a trial's network reaches on the test split, beside what it had reached on the validation split."""
    console = Console()
    samples = f"epoch {evaluation.epoch}, {evaluation.n_samples} test samples"
    console.print(f"[bold]{evaluation.sweep}/{evaluation.trial}[/bold] {samples}", highlight=False, soft_wrap=True)
    before = next(ranked.metrics for ranked in result.ranking if ranked.trial == evaluation.trial)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "test", "valid"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, value in evaluation.metrics.items():
        metric = name.removeprefix("test/")
        table.add_row(metric, _number(value), _number(before.get(f"valid/{metric}")))
    console.print(table)


def elsewhere(submitted: "Sequence[SubmittedSweep]", tracked: "Sequence[TrackedSweep]") -> None:
    """Sweeps on a cluster: how they stand, and the last thing that each has told; and sweeps as MLflow has them."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for sweep in submitted:
        jobs = f", {sweep.n_jobs} jobs" if sweep.n_jobs > 1 else ""
        console.print(f"{sweep.sweep} {sweep.state} on the cluster (of {sweep.owner}{jobs})")
        if sweep.told:
            # MLflow may be ahead of it: a running job tells now and then, one that has ended no more.
            console.print(f"  {'when its job ended' if sweep.has_ended else 'its job last told'}: {sweep.told}")
    for found in tracked:
        counts = ", ".join(f"{count} {status.lower()}" for status, count in sorted(found.trials.items()))
        console.print(f"{found.sweep} {found.state} in MLflow (of {found.owner}){f': {counts}' if counts else ''}")
        if found.link:
            console.print(f"  {found.link}")


def overview(
    results: Sequence[SweepResult],
    submitted: "Sequence[SubmittedSweep]" = (),
    tracked: "Sequence[TrackedSweep]" = (),
) -> None:
    """One line a sweep, those elsewhere last."""
    if results or not (submitted or tracked):
        _overview(results)
    elsewhere(submitted, tracked)


def _overview(results: Sequence[SweepResult]) -> None:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("sweep", no_wrap=True)
    for heading in ("state", "trials", "failed"):
        table.add_column(heading, no_wrap=True)
    table.add_column("best", no_wrap=True, overflow="ellipsis", ratio=1)
    for result in results:
        best = result.ranking[0] if result.ranking else None
        table.add_row(
            result.sweep,
            str(result.record.state),
            f"{result.n_ended}/{result.config.n_trials}",
            str(result.count(PointState.FAILED)),
            "" if best is None else f"{_number(best.metrics.get(result.objective_metrics[0]))} ({best.run_name})",
        )
    Console(soft_wrap=not results).print(
        table if results else f"no sweeps in {storage() / 'sweeps'} yet: try `sweeps run quickstart`"
    )


def recipes(summaries: Sequence[Mapping[str, str]]) -> None:
    """One line a recipe."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for recipe in summaries:
        table.add_row(Text(recipe["name"], style="bold"), recipe["description"])
    Console().print(table)


def _state_lines(console: Console, result: SweepResult) -> None:
    counts = f"{result.n_ended} of {result.config.n_trials} trials ended, {result.count(PointState.FAILED)} failed"
    running = result.count(PointState.RUNNING)
    counts += f", {running} running" if running else ""
    seconds = "" if result.seconds is None else f", {result.seconds:.0f} s"
    console.print(f"[bold]{result.sweep}[/bold] {result.record.state}: {counts}{seconds}", highlight=False)
    if result.record.state is SweepState.INTERRUPTED:
        console.print(f"`sweeps resume {result.sweep}` goes on with it", soft_wrap=True, highlight=False)
    if result.refusals:
        console.print(
            f"MLflow refused {len(result.refusals)} entries; of the first it said: {result.refusals[0]}",
            style="yellow",
            highlight=False,
            markup=False,
        )
    if result.n_undelivered:
        is_on_its_way = result.record.state is SweepState.RUNNING
        then = "it gets them as the sweep goes on" if is_on_its_way else f"`sweeps sync {result.sweep}` delivers them"
        console.print(
            f"MLflow has yet to get {result.n_undelivered} entries: {then}",
            style="yellow",
            soft_wrap=True,
            highlight=False,
        )


def _ranking(console: Console, result: SweepResult, top: int) -> None:
    """The first of a ranking, how many there are besides, and what is wrong with those shown."""
    console.print(_ranking_table(result.ranking[:top], result))
    if len(result.objective_metrics) > 1:
        console.print("* on the Pareto front: no other trial is as good in all objectives and better in one")
    if left := len(result.ranking[top:]):
        line = f"and {left} more: `sweeps best {result.sweep} --top {len(result.ranking)}`"
        console.print(line, highlight=False, soft_wrap=True)
    _fault_lines(console, result, top)


def _failed_line(console: Console, result: SweepResult) -> None:
    if failed := result.count(PointState.FAILED):
        line = f"{failed} failed: `sweeps status {result.sweep}` tells which, and why"
        console.print(line, style="red", highlight=False, soft_wrap=True)


def _ranking_table(trials: Sequence[RankedTrial], result: SweepResult) -> Table:
    """Place, trial, what differs, and the objectives; `--json` has every metric."""
    names = [*result.objective_metrics, *(name for name in ALSO_SHOWN if name not in result.objective_metrics)]
    table = Table(box=None, pad_edge=False)
    for heading in ("", "trial", "point"):
        table.add_column(heading, overflow="fold")
    for heading in ("epoch", *names):
        table.add_column(heading, justify="right", no_wrap=True)
    for place, trial in enumerate(trials, start=1):
        mark = "*" if len(result.objective_metrics) > 1 and trial in result.front else str(place)
        values = (_number(trial.metrics.get(name)) for name in names)
        table.add_row(mark, trial.trial, trial.run_name, str(trial.epoch), *values)
    return table


def _fault_lines(console: Console, result: SweepResult, top: int) -> None:
    """Each issue of the trials shown, with those that have it: the gravest of the best trial first."""
    trials: dict[str, list[str]] = {}
    for ranked in result.ranking[:top]:
        for name in dict.fromkeys(finding["name"] for finding in ranked.diagnosis or ()):
            trials.setdefault(name, []).append(ranked.trial)
    if not trials:
        return
    heading = f"\nDiagnosis (`sweeps diagnose {result.sweep}/TRIAL` tells why, and what to change):"
    console.print(heading, highlight=False, markup=False, soft_wrap=True)
    for name, ids in trials.items():
        console.print(f"  {name}: {', '.join(ids)}", highlight=False, markup=False, soft_wrap=True)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def delivered(result: SweepResult, error: str | None) -> None:
    """What came of an attempt to deliver the rest."""
    if result.n_undelivered:
        line = f"{result.n_undelivered} entries of {result.sweep} are not delivered: {error}"
    elif result.refusals:
        refused = f"MLflow refused {len(result.refusals)} entries of {result.sweep}"
        line = f"{refused}; of the first it said: {result.refusals[0]}"
    else:
        line = f"MLflow has everything of {result.sweep}"
    Console().print(line, highlight=False, markup=False)


def _time_left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes} min {rest:02d} s left" if minutes else f"{rest} s left"
