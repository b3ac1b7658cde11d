"""Commands for MLflow's model registry: promote a trial, roll back, list past champions, score samples."""

import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from sweeps.cli.commands import locate, remote
from sweeps.cli.options import Address, Json, Run, Trial, library_output_to_stderr, log_line, print_result
from sweeps.cli.printable import echo

# A promotion trains with --seeds, or if the sweep file asks for it.
REMOTE_TIMEOUT_SECONDS = 24 * 3600.0
# As promotion.seeds, which is not imported here: it takes time.
MAX_SEEDS = 1000
Model = Annotated[str, typer.Argument(metavar="NAME", help="A registered model.", show_default=False)]
Sha256 = Annotated[
    str | None,
    typer.Option(
        "--sha256",
        metavar="HEX",
        help="The SHA-256 that the model's files must have; `promote --json` prints it as package_sha256.",
        show_default=False,
    ),
]
Plugin = Annotated[
    str | None,
    typer.Option(
        "--plugin",
        metavar="PATH",
        help="Plug-in network that may be imported for a version that another SWEEPS_HOME promoted.",
        show_default=False,
    ),
]
Alias = Annotated[str, typer.Option("--alias", help="An alias of the registered model.")]


def promote(
    context: typer.Context,
    run: Run,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="The registered model.", show_default=False)],
    trial: Trial = None,
    alias: Alias = "champion",
    first: Annotated[bool, typer.Option("--first", help="Allow promotion when there is no champion yet.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge and print; change nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Promote despite failed gates (recorded on the version).")
    ] = False,
    n_seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            metavar="N",
            min=0,
            max=MAX_SEEDS,
            help="Retrain with N seeds; the median must pass.",
            show_default=False,
        ),
    ] = None,
    plugin: Plugin = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Make a trial's model the champion if it passes every gate; by default the best trial of a sweep."""
    with library_output_to_stderr():
        from sweeps.registry.promotion import Request

        named = locate.find_run(run, address)
    if isinstance(named, locate.Elsewhere):
        _run_there(context, named, REMOTE_TIMEOUT_SECONDS)
    with library_output_to_stderr():
        from sweeps.cli.display.live import live_view
        from sweeps.cli.display.registry import print_promotion
        from sweeps.registry.promote import promote as judge_and_move

        request = Request(model, alias, first=first, dry_run=dry_run, force=force, n_seeds=n_seeds, plugin=plugin)
        with live_view() as watch:
            promotion = judge_and_move(named, trial, request, watch, log_line)
    print_result(promotion.to_dict(), as_json, lambda: print_promotion(promotion))
    raise typer.Exit(promotion.exit_status)


def rollback(
    context: typer.Context, model: Model, alias: Alias = "champion", address: Address = None, as_json: Json = False
) -> None:
    """Point an alias back at the version that the current champion replaced."""
    if (cluster := locate.named_cluster(model, address)) is not None:
        _run_there(context, cluster)
    with library_output_to_stderr():
        from sweeps.cli.display.alias_history import print_rollback
        from sweeps.registry.alias_move import rollback as roll_back
        from sweeps.registry.mlflow_registry import RegistryStore
        from sweeps.registry.names import check_names
        from sweeps.tracking.mlflow.uri import existing_store

        check_names(model, alias)
        move = roll_back(RegistryStore(existing_store()), model, alias)
    plain = {"model": model, "alias": alias} | move.to_dict()
    print_result(plain, as_json, lambda: print_rollback(model, alias, move))


def history(
    context: typer.Context,
    model: Model,
    alias: Alias = "champion",
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the log of promotions, and MLflow against it; 1 if a check fails.")
    ] = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """List the versions that have held an alias, when and why, newest first, and what the log of promotions has."""
    if (cluster := locate.named_cluster(model, address)) is not None:
        _run_there(context, cluster)
    with library_output_to_stderr():
        from sweeps.cli.display.alias_history import print_history
        from sweeps.cli.display.audit import print_audit
        from sweeps.registry.audit import audit
        from sweeps.registry.audited_history import audited_history
        from sweeps.registry.mlflow_registry import RegistryStore
        from sweeps.registry.names import check_names
        from sweeps.tracking.mlflow.uri import existing_store

        check_names(model, alias)
        store = RegistryStore(existing_store())
        checked = audit(store, model, alias) if verify else None
        found = None if verify else audited_history(store, model, alias)
    if checked is not None:
        plain = {"model": model, "alias": alias} | checked.to_dict()
        print_result(plain, as_json, lambda: print_audit(model, alias, checked))
        raise typer.Exit(0 if checked.is_verified else 1)
    assert found is not None
    plain = {"model": model, "alias": alias} | found.to_dict()
    print_result(plain, as_json, lambda: print_history(model, alias, found))


def score(
    model: Annotated[str, typer.Argument(metavar="NAME@ALIAS", help="A registered model.", show_default=False)],
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="Samples: an .npy or .npz, samples first, or a .csv, .parquet or .feather with a column per feature.",
            show_default=False,
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="An .npz (outputs by name), .npy (all columns), .csv, .parquet or .feather (named columns).",
            show_default=False,
        ),
    ],
    inputs_key: Annotated[
        str | None,
        typer.Option(
            "--inputs-key", metavar="KEY", help="The array of an .npz; by default inputs.", show_default=False
        ),
    ] = None,
    sha256: Sha256 = None,
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Score samples with a registered model: write reconstructions, codes, and the error of each sample."""
    with library_output_to_stderr():
        from sweeps.registry.mlflow_registry import RegistryStore
        from sweeps.registry.scoring import score_by_alias
        from sweeps.registry.version_files import Trust
        from sweeps.tracking.mlflow.uri import existing_store

        trust = Trust(sha256, () if plugin is None else (plugin,))
        scores, version = score_by_alias(RegistryStore(existing_store()), model, source, target, inputs_key, trust)
    name, _, alias = model.partition("@")
    outputs = ", ".join(f"{output} {shape}" for output, shape in scores.shapes.items())
    line = f"{target}: {outputs} of {scores.n_samples} samples by {name}, version {version}"
    plain = scores.to_dict() | {"model": name, "alias": alias, "version": version}
    print_result(plain, as_json, lambda: echo(line))
    for issue in scores.issues:
        log_line(issue)
    raise typer.Exit(scores.exit_status)


def _run_there(context: typer.Context, place: locate.Elsewhere, timeout_seconds: float | None = None) -> NoReturn:
    """Run the command on the cluster, in the name of this user."""
    from sweeps.registry.names import ASKED_BY
    from sweeps.tracking.person import claimed_person, person_if_reachable

    uri = os.environ.get("MLFLOW_TRACKING_URI")
    person = person_if_reachable(uri) if uri else claimed_person()
    remote.run_there(context, place, timeout_seconds, **{ASKED_BY: person.name})
