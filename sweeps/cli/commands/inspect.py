"""Commands that tell how sweeps and their trials stand."""

from typing import Annotated, Any

import typer

from sweeps.cli.commands import locate, submit
from sweeps.cli.options import Address, Json, Run, Sweep, Trial, print_result, tell


def list_sweeps(address: Address = None, as_json: Json = False) -> None:
    """List the sweeps under SWEEPS_HOME, on the cluster that is named and on the MLflow server, newest first."""
    from sweeps.cli.display import terminal
    from sweeps.tracking.results import load_all

    results, issues = load_all()
    there, tracked, unreachable = locate.list_elsewhere(address)
    issues += unreachable
    known = {result.sweep for result in results} | {sweep.sweep for sweep in there}
    tracked = [sweep for sweep in tracked if sweep.sweep not in known]
    plain: dict[str, Any] = {"sweeps": [result.overview() for result in results], "errors": issues}
    plain |= {"submitted": [s.to_dict() for s in there], "tracked": [s.to_dict() for s in tracked]}
    print_result(plain, as_json, lambda: terminal.overview(results, there, tracked))
    for issue in issues:
        tell(issue)


def status(sweep: Sweep, address: Address = None, as_json: Json = False) -> None:
    """Tell how far a sweep is, and what MLflow has yet to get of it."""
    from sweeps.cli.display import terminal
    from sweeps.storage.layout import find
    from sweeps.tracking.results import load_result

    if not locate.is_here(sweep, address):
        locate.status_elsewhere(sweep, address, as_json)
        return
    result = load_result(find(sweep))
    print_result(result.overview(), as_json, lambda: terminal.status(result))


def best(
    sweep: Sweep,
    top: Annotated[int, typer.Option("--top", min=1, help="How many trials to rank.")] = 10,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Rank a sweep's trials; with several objectives, show the Pareto front first."""
    from sweeps.cli.display import terminal
    from sweeps.storage.layout import find
    from sweeps.tracking.results import load_result

    if client := locate.client_for(sweep, address):
        submit.print_relayed(client, ["best", sweep, "--top", str(top)], as_json)
    result = load_result(find(sweep))
    print_result(result.to_dict(top=top), as_json, lambda: terminal.ranking(result, top))


def diagnose(run: Run, trial: Trial = None, address: Address = None, as_json: Json = False) -> None:
    """Tell why a trial did not learn what was expected: what is wrong, the numbers that show it, what to change."""
    from sweeps.cli.display import terminal
    from sweeps.tracking.trial_lookup import load_trial

    if client := locate.client_for_run(run, address):
        submit.print_relayed(client, ["diagnose", run, *_of(trial)], as_json)
    found = load_trial(run, trial)
    print_result(found.to_dict(), as_json, lambda: terminal.diagnosis(found))


def evaluate(run: Run, trial: Trial = None, address: Address = None, as_json: Json = False) -> None:
    """Measure the network that a trial has kept on the test split, which no search has seen."""
    if client := locate.client_for_run(run, address):
        submit.print_relayed(client, ["evaluate", run, *_of(trial)], as_json)
    from sweeps.cli.display import terminal
    from sweeps.evaluation import evaluate as measure
    from sweeps.tracking.trial_lookup import find_trial

    result, point = find_trial(run, trial)
    evaluation = measure(result, point.point_id)
    print_result(evaluation.to_dict(), as_json, lambda: terminal.evaluation(evaluation, result))


def _of(trial: str | None) -> list[str]:
    return [] if trial is None else ["--trial", trial]
