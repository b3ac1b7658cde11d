"""The command line: parse, call, print. Heavy packages are imported by the commands that need them."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

from sweeps.errors import InputError, SweepError

STARTED = time.time()

Sweep = Annotated[
    str, typer.Argument(metavar="SWEEP", help="A sweep's id, or the beginning of it.", show_default=False)
]
Recipe = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE|FILE", help="A recipe that ships (see `sweeps recipes`) or a sweep file.", show_default=False
    ),
]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="SWEEP/TRIAL, a sweep, or the id of an MLflow run.", show_default=False)
]
Trial = Annotated[
    str | None, typer.Option("--trial", help="A trial of the sweep; by default the best.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a setting, e.g. budget.trials=4; may be repeated."),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Start though MLflow does not answer; deliver later with `sweeps sync`.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]

app = typer.Typer(
    name="sweeps",
    help="Hyperparameter sweeps for autoencoders on a Ray cluster, recorded in MLflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def run(
    recipe: Recipe,
    overrides: Overrides = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Run a sweep here, on a local Ray or the cluster that RAY_ADDRESS names."""
    from sweeps import display
    from sweeps.config import load

    config = load(recipe, overrides or [])
    from sweeps.launch import run as run_sweep

    with _only_ours_on_standard_output(), display.live() as watch:
        result = run_sweep(config, offline=offline, watch=watch, started=STARTED)
    _print(result.to_dict(), as_json, lambda: display.summary(result))
    raise typer.Exit(result.exit_status)


@app.command(name="list")
def list_sweeps(as_json: Json = False) -> None:
    """List the sweeps under SWEEPS_HOME, newest first."""
    from sweeps import display
    from sweeps.results import load_all

    results, faults = load_all()
    plain = {"sweeps": [result.overview() for result in results], "errors": faults}
    _print(plain, as_json, lambda: display.overview(results))
    for fault in faults:
        _tell(fault)


@app.command()
def status(sweep: Sweep, as_json: Json = False) -> None:
    """Tell how far a sweep is, and what MLflow has yet to get of it."""
    from sweeps import display
    from sweeps.folder import find
    from sweeps.results import load_result

    result = load_result(find(sweep))
    _print(result.overview(), as_json, lambda: display.status(result))


@app.command()
def best(
    sweep: Sweep,
    top: Annotated[int, typer.Option("--top", min=1, help="How many trials to rank.")] = 10,
    as_json: Json = False,
) -> None:
    """Rank a sweep's trials; with several objectives, show the Pareto front first."""
    from sweeps import display
    from sweeps.folder import find
    from sweeps.results import load_result

    result = load_result(find(sweep))
    _print(result.to_dict(top=top), as_json, lambda: display.ranking(result, top))


@app.command()
def diagnose(
    run: Run,
    trial: Trial = None,
    as_json: Json = False,
) -> None:
    """Tell why a trial did not learn what was expected: what is wrong, the numbers that show it, what to change."""
    from sweeps import display
    from sweeps.trials import load_trial

    found = load_trial(run, trial)
    _print(found.to_dict(), as_json, lambda: display.diagnosis(found))


@app.command()
def evaluate(
    run: Run,
    trial: Trial = None,
    as_json: Json = False,
) -> None:
    """Measure the network that a trial has kept on the test split, which no search has seen."""
    from sweeps import display
    from sweeps.evaluation import evaluate as measure
    from sweeps.trials import find_trial

    result, point = find_trial(run, trial)
    evaluation = measure(result, point.point_id)
    _print(evaluation.to_dict(), as_json, lambda: display.evaluation(evaluation, result))


@app.command()
def reproduce(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Recipes of published experiments; all where none is named."),
    ] = None,
    judge: Annotated[
        bool, typer.Option("--judge", help="Run nothing: judge the newest finished sweep of each recipe.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Run published experiments and tell of each claim whether its number is reached."""
    from sweeps import display
    from sweeps.experiments import reproduce as published

    claims = published.select(experiments or [])
    if judge:
        report = published.judge(claims)
    else:
        with _only_ours_on_standard_output(), display.live() as watch:
            report = published.reproduce(claims, offline=offline, watch=watch, tell=_tell)
    for failure in report.failures:
        _tell(failure)
    _print(report.to_dict(), as_json, lambda: display.claims(report.rows, markdown=markdown))
    raise typer.Exit(report.exit_status)


@app.command()
def sync(
    sweep: Sweep,
    patience: Annotated[float, typer.Option("--patience", help="Seconds to try for without progress.", min=0)] = 60.0,
    as_json: Json = False,
) -> None:
    """Deliver to MLflow what it has not got of a sweep."""
    from sweeps import display
    from sweeps.folder import find
    from sweeps.results import load_result
    from sweeps.tracking.address import check_tracker, tracking_uri
    from sweeps.tracking.journal import Journal
    from sweeps.tracking.shipper import sync as deliver

    folder = find(sweep)
    with Journal.open(folder.journal) as journal:
        # Where the environment names no store, the one that has the sweep's runs already.
        uri = tracking_uri(None if "MLFLOW_TRACKING_URI" in os.environ else journal.store())
        check_tracker(uri)
        delivery = deliver(journal, uri, folder.path, patience)
    result = load_result(folder)
    plain = {"sweep": result.sweep, "undelivered": delivery.n_pending, "refused": delivery.n_refused}
    _print(plain | {"error": delivery.error}, as_json, lambda: display.delivered(result, delivery.error))
    raise typer.Exit(1 if delivery.n_pending or delivery.n_refused else 0)


@app.command()
def recipes(as_json: Json = False) -> None:
    """List the recipes that ship."""
    from sweeps import display
    from sweeps.config import recipe_summaries

    summaries = recipe_summaries()
    _print({"recipes": summaries}, as_json, lambda: display.recipes(summaries))


@app.command()
def show(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe that ships.", show_default=False)],
) -> None:
    """Print a recipe as a sweep file, to change and run."""
    from sweeps.config import recipe_text

    typer.echo(recipe_text(recipe), nl=False)


@app.command()
def validate(recipe: Recipe, overrides: Overrides = None, as_json: Json = False) -> None:
    """Check a sweep file, and every corner of its search space, without starting anything."""
    from sweeps.config import load

    config = load(recipe, overrides or [])
    _print(
        {"valid": True, "name": config.name, "trials": config.n_trials, "config": config.to_dict()},
        as_json,
        lambda: typer.echo(f"{recipe} is valid: {config.n_trials} trials of {config.n_epochs} epochs"),
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of a sweep file, for editors."""
    from sweeps.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@app.command()
def ui(
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Serve the MLflow UI on the store that MLFLOW_TRACKING_URI names, and print its address."""
    from sweeps.results import load_all
    from sweeps.tracking.address import experiment_link, tracking_uri
    from sweeps.tracking.ui import serve

    def announce(address: str) -> None:
        """Print the page with the runs of the newest sweep in this store; without one, the list of experiments."""
        stored = [result for result in load_all()[0] if result.tracking_uri == tracking_uri()]
        newest = next((result.record.experiment_id for result in stored if result.record.experiment_id), None)
        page = experiment_link(address, newest) if newest else f"{address}/#/experiments?workflowType=machine_learning"
        typer.echo(f"MLflow UI: {page}  (Ctrl-C ends it)")

    raise typer.Exit(serve(tracking_uri(), port, announce))


def main() -> None:
    """Run the command line; a mistake of the caller is told in a line for each fault, never in a traceback."""
    try:
        app()
    except InputError as error:
        _fail(error.faults, status=2)
    except SweepError as error:
        _fail((str(error),), status=1)


@contextmanager
def _only_ours_on_standard_output() -> Iterator[None]:
    """Send what libraries and their processes print to standard error: Ray tells of lost workers on standard output."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _tell(line: str) -> None:
    typer.echo(f"sweeps: {line}", err=True)


def _print(plain: dict[str, Any], as_json: bool, show: Callable[[], None]) -> None:
    if as_json:
        typer.echo(json.dumps(plain))
    else:
        show()


def _fail(faults: Sequence[str], status: int) -> NoReturn:
    for fault in faults:
        _tell(fault)
    if "--json" in sys.argv:
        typer.echo(json.dumps({"errors": list(faults)}))
    sys.exit(status)
