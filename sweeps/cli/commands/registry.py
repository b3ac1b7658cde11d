"""Commands on MLflow's model registry: who becomes champion, who was, and what it says of new samples."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.commands import locate, submit
from sweeps.cli.options import Address, Json, Run, Trial, only_ours_on_standard_output, print_result

if TYPE_CHECKING:
    from sweeps.registry.promotion import Request

# With --seeds, or by the sweep file, a promotion trains.
SECONDS_THERE = 24 * 3600.0
Model = Annotated[str, typer.Argument(metavar="NAME", help="A registered model.", show_default=False)]
Alias = Annotated[str, typer.Option("--alias", help="The alias that names the one in use.")]


def promote(
    run: Run,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="The registered model.", show_default=False)],
    trial: Trial = None,
    alias: Alias = "champion",
    first: Annotated[bool, typer.Option("--first", help="There is no champion to beat: this is to be it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge and print; move nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Move past failed gates, and be recorded for it.")] = False,
    n_seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds", min=0, help="Train the point again on N seeds; the median must pass.", show_default=False
        ),
    ] = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Make a trial's model the champion if it passes every gate; by default the best trial of a sweep."""
    with only_ours_on_standard_output():
        from sweeps.registry.names import ASKED_BY, who
        from sweeps.registry.promotion import Request

        request = Request(model, alias, first=first, dry_run=dry_run, force=force, n_seeds=n_seeds)
        client = locate.client_for_run(run, address)
    if client:
        submit.print_relayed(client, _arguments(run, trial, request), as_json, SECONDS_THERE, **{ASKED_BY: who()})
    with only_ours_on_standard_output():
        from sweeps.cli.display import registry, terminal
        from sweeps.registry.promote import promote as judge_and_move

        with terminal.live() as watch:
            promotion = judge_and_move(run, trial, request, watch)
    print_result(promotion.to_dict(), as_json, lambda: registry.promotion(promotion))
    raise typer.Exit(promotion.exit_status)


def rollback(model: Model, alias: Alias = "champion", as_json: Json = False) -> None:
    """Point an alias back at the version that the present champion replaced."""
    with only_ours_on_standard_output():
        from sweeps.cli.display import registry
        from sweeps.registry.alias_history import rollback as go_back
        from sweeps.registry.mlflow_registry import RegistryStore
        from sweeps.registry.names import check_names
        from sweeps.tracking.mlflow.uri import tracking_uri

        check_names(model, alias)
        step = go_back(RegistryStore(tracking_uri()), model, alias)
    plain = {"model": model, "alias": alias} | step.to_dict()
    print_result(plain, as_json, lambda: registry.rolled_back(model, alias, step))


def history(model: Model, alias: Alias = "champion", as_json: Json = False) -> None:
    """List who held an alias, when and why, newest first."""
    with only_ours_on_standard_output():
        from sweeps.cli.display import registry
        from sweeps.registry.alias_history import find_model, moves
        from sweeps.registry.mlflow_registry import RegistryStore
        from sweeps.registry.names import check_names
        from sweeps.tracking.mlflow.uri import tracking_uri

        check_names(model, alias)
        registered = find_model(RegistryStore(tracking_uri()), model)
        told, holder = moves(registered, alias), registered.aliases.get(alias)
    plain = {"model": model, "alias": alias, "holder": holder, "moves": [step.to_dict() for step in reversed(told)]}
    print_result(plain, as_json, lambda: registry.history(model, alias, told, holder))


def score(
    model: Annotated[str, typer.Argument(metavar="NAME@ALIAS", help="A registered model.", show_default=False)],
    source: Annotated[Path, typer.Argument(metavar="IN", help="Samples: an .npy, samples first.", show_default=False)],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="An .npz (outputs by name) or .npy (columns).", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Write what a registered model makes of samples: reconstructions, codes, and the error of each sample."""
    with only_ours_on_standard_output():
        from sweeps.registry.mlflow_registry import RegistryStore
        from sweeps.registry.scoring import score_by_alias
        from sweeps.tracking.mlflow.uri import tracking_uri

        told = score_by_alias(RegistryStore(tracking_uri()), model, source, target)
    outputs = ", ".join(f"{name} {tuple(shape)}" for name, shape in told["outputs"].items())
    line = f"{told['out']}: {outputs} of {told['samples']} samples by {told['model']}, version {told['version']}"
    print_result(told, as_json, lambda: typer.echo(line))


def _arguments(run: str, trial: str | None, request: "Request") -> list[str]:
    """What asks for the same promotion on another machine."""
    options = {"--model": request.model, "--alias": request.alias, "--trial": trial, "--seeds": request.n_seeds}
    flags = {"--first": request.first, "--dry-run": request.dry_run, "--force": request.force}
    valued = [part for name, value in options.items() if value is not None for part in (name, str(value))]
    return ["promote", run, *valued, *(name for name, is_given in flags.items() if is_given)]
