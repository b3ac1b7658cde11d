"""Promote models from Python: promote, rollback and the history of an alias."""

from typing import TYPE_CHECKING

from sweeps.api.progress import without_hints_at_widgets
from sweeps.api.sweep_names import OfSweep, find_run_here

if TYPE_CHECKING:
    from sweeps.registry.alias_history import Move
    from sweeps.registry.audited_history import AuditedHistory
    from sweeps.registry.promotion import Promotion


@without_hints_at_widgets()
def promote(
    run: str | OfSweep,
    model: str,
    *,
    trial: str | int | None = None,
    alias: str = "champion",
    first: bool = False,
    dry_run: bool = False,
    force: bool = False,
    n_seeds: int | None = None,
    plugin: str | None = None,
) -> "Promotion":
    """Make a trial's model the champion of a registered model if it passes all gates; return the verdict.

    Args:
        run: SWEEP/TRIAL, a sweep as for `status`, or the id of an MLflow run.
        model: Name of the registered model in MLflow.
        trial: A trial of the sweep, by id or number; by default the best.
        alias: The alias to move.
        first: Allow promotion when there is no champion yet.
        dry_run: Only judge.
        force: Promote despite failed gates; it is recorded on the version.
        n_seeds: Train the point with so many other seeds, too, and require that their median passes.
        plugin: A plug-in network whose code may be imported for a champion that this SWEEPS_HOME has not promoted.

    Raises:
        InputError: There is nothing to judge.
        PromotionConflict: Another promotion moved the alias first.

    Example:
        >>> verdict = sweeps.promote("demo", "digits", first=True, force=True)
        >>> verdict.verdict, verdict.version, verdict.is_forced
        (<PromotionVerdict.PROMOTED: 'promoted'>, '1', True)

    """
    from sweeps.registry.promote import promote
    from sweeps.registry.promotion import Request

    request = Request(model, alias, first=first, dry_run=dry_run, force=force, n_seeds=n_seeds, plugin=plugin)
    return promote(find_run_here(run, "promote"), trial, request)


@without_hints_at_widgets()
def rollback(model: str, alias: str = "champion") -> "Move":
    """Point an alias back at the version that the current champion replaced; return the move.

    Args:
        model: Name of the registered model.
        alias: The alias to move.

    Raises:
        UnknownModel: There is no such model, or no earlier version to go back to.
        PromotionConflict: Another process is moving the alias.

    Example:
        >>> sweeps.rollback("digits")
        Traceback (most recent call last):
        sweeps.errors.UnknownModel: version 1 of digits was the first to hold champion, so there is no version ...

    """
    _check_no_cluster("rollback", model)
    from sweeps.registry.alias_move import rollback
    from sweeps.registry.mlflow_registry import RegistryStore
    from sweeps.registry.names import check_names
    from sweeps.tracking.mlflow.uri import existing_store

    check_names(model, alias)
    return rollback(RegistryStore(existing_store()), model, alias)


@without_hints_at_widgets()
def history(model: str, alias: str = "champion") -> "AuditedHistory":
    """Return the versions that have held an alias, when and why, and what the log of promotions has of each move.

    Args:
        model: Name of the registered model.
        alias: The alias.

    Raises:
        UnknownModel: No model of that name is registered.

    Example:
        >>> past = sweeps.history("digits")
        >>> past.holder, [move.version for move, logged in past.moves]
        ('1', ['1'])

    """
    _check_no_cluster("history", model)
    from sweeps.registry.audited_history import audited_history
    from sweeps.registry.mlflow_registry import RegistryStore
    from sweeps.registry.names import check_names
    from sweeps.tracking.mlflow.uri import existing_store

    check_names(model, alias)
    return audited_history(RegistryStore(existing_store()), model, alias)


def _check_no_cluster(command: str, model: str) -> None:
    """Raise ClusterError if a cluster is named: its registry and log of promotions are meant, not those here."""
    from sweeps.cluster.jobs.client import ADDRESS_VARIABLE, api_server
    from sweeps.errors import ClusterError

    server = api_server(None)
    if server is not None:
        raise ClusterError(
            f"{ADDRESS_VARIABLE} names the cluster at {server}, whose registry and log of promotions cannot be "
            f"reached from Python: run `sweeps {command} {model}`, or unset it to use those of this machine"
        )
