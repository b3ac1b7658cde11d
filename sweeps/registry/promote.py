"""From a trial to the champion: package, judge, register, move the alias. The whole of it, read top to bottom.

No version is registered before every gate is judged, and it is registered with all its tags at once. The alias moves
last, under its lock, and only if the champion is still the one that the challenger was judged against. So a failure
between any two steps leaves the alias where it was, and a promotion that is repeated goes on from what is there.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mlflow.entities.model_registry import ModelVersion

from sweeps.errors import InputError, PromotionConflict
from sweeps.registry.alias_history import move, moves
from sweeps.registry.alias_lock import locked
from sweeps.registry.challenger import ALIAS_TAG, Challenger, description, is_same, move_of, version_tags
from sweeps.registry.contest import Champion, has_same_data, judge
from sweeps.registry.gates import Gate, closed
from sweeps.registry.mlflow_registry import NETWORK_TAG, RUN_TAG, Entry, RegistryStore
from sweeps.registry.names import check_names
from sweeps.registry.promotion import Promotion, Request, Verdict
from sweeps.registry.reseeding import judge_seeds, retrain
from sweeps.registry.scoring import PackagedModel
from sweeps.tracking.mlflow.uri import tracking_uri, without_credentials
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult
from sweeps.tracking.trial_lookup import NamedRun, find_trial


def promote(
    run: str | NamedRun, trial: str | None, request: Request, watch: Callable[[Progress], None] | None = None
) -> Promotion:
    """Judge the trial that `run` and `trial` name, and move the alias to it if it passes, or if forced.

    Raises InputError where there is nothing to judge, TrackingError where MLflow fails, PromotionConflict where another
    promotion was first. `watch` is given the counters of the sweep that trains the point on other seeds.
    """
    check_names(request.model, request.alias)
    challenger = Challenger.of(*find_trial(run, trial))
    store = RegistryStore(_store_of(challenger.result))
    with tempfile.TemporaryDirectory(prefix="sweeps-promote-") as scratch:
        folder = Path(scratch)
        champion = _champion(store, request, challenger, folder)
        if champion is not None and champion.tags.get(NETWORK_TAG) == challenger.digest:
            return _told(
                request, challenger, Verdict.ALREADY, [], champion.version, champion.tags.get("sweeps.replaced")
            )
        model_id, model = _packaged(store, request, challenger, folder)
        gates = judge(challenger.contest, model, challenger.network, champion, challenger.examined, first=request.first)
        gates += _seeds(store, request, challenger, champion, watch)
    replaced = None if champion is None else champion.version
    refused = bool(closed(gates)) and not request.force
    if request.dry_run or refused:
        verdict = _verdict(refused=refused, dry_run=request.dry_run)
        return _told(request, challenger, verdict, gates, None, replaced)
    assert model_id is not None
    version = _install(store, request, challenger, model_id, gates, replaced)
    return _told(request, challenger, Verdict.PROMOTED, gates, version, replaced)


def _store_of(result: SweepResult) -> str:
    """The store that has the sweep's runs: a version refers to one of them."""
    uri = tracking_uri(None if "MLFLOW_TRACKING_URI" in os.environ else result.store)
    if result.store is not None and without_credentials(uri) != result.store:
        raise InputError(
            f"MLFLOW_TRACKING_URI must name the store that has the runs of {result.sweep}, {result.store}, not "
            f"{without_credentials(uri)}: unset it, or deliver them there by `sweeps sync {result.sweep}`"
        )
    return uri


def _champion(store: RegistryStore, request: Request, challenger: Challenger, folder: Path) -> Champion | None:
    """The version that holds the alias, loaded where it can be compared."""
    registered = store.find(request.model)
    number = None if registered is None else registered.aliases.get(request.alias)
    version = None if number is None else store.version(request.model, number)
    if version is None:
        return None
    if not has_same_data(version.tags, challenger.contest.arrays):
        return Champion(str(version.version), version.tags, None)
    target = folder / "champion"
    target.mkdir()
    files = store.download(f"models:/{request.model}/{version.version}", target)
    return Champion(str(version.version), version.tags, PackagedModel.load(files))


def _packaged(
    store: RegistryStore, request: Request, challenger: Challenger, folder: Path
) -> tuple[str | None, PackagedModel]:
    """The challenger as it would be registered, loaded again: from MLflow, or for a dry run from this disk alone."""
    if request.dry_run:
        challenger.package.save(folder / "package")
        return None, PackagedModel.load(folder / "package")
    run_id = challenger.ranked.run_id
    if run_id is None:
        sweep = challenger.result.sweep
        raise InputError(f"MLflow must have the run of {sweep}/{challenger.ranked.trial} first: `sweeps sync {sweep}`")
    run = store.run(run_id)
    model_id = store.find_logged(run.info.experiment_id, run_id, challenger.digest)
    if model_id is None:
        model_id = store.log(challenger.package, folder / "package", run, challenger.digest, challenger.ranked.epoch)
    target = folder / "logged"
    target.mkdir()
    return model_id, PackagedModel.load(store.download(f"models:/{model_id}", target))


def _seeds(
    store: RegistryStore,
    request: Request,
    challenger: Challenger,
    champion: Champion | None,
    watch: Callable[[Progress], None] | None,
) -> list[Gate]:
    """The gate of the seeds, where it was asked for."""
    n_seeds = challenger.contest.sweep.promotion.seeds if request.n_seeds is None else request.n_seeds
    if not n_seeds:
        return []
    again = retrain(challenger.contest, n_seeds, store.uri, watch)
    return [judge_seeds(challenger.contest, again, champion, n_seeds, first=request.first)]


def _install(
    store: RegistryStore,
    request: Request,
    challenger: Challenger,
    model_id: str,
    gates: Sequence[Gate],
    replaced: str | None,
) -> str:
    """Register the challenger and point the alias at it; gives the version."""
    name, alias = request.model, request.alias
    if store.find(name) is None:
        store.create(name, {}, f"An autoencoder, promoted by `sweeps`; the alias {alias} names its champion.")
    with locked(store, name, alias) as lock:
        model = store.find(name)
        current = None if model is None else model.aliases.get(alias)
        if model is None or current != replaced:
            raise PromotionConflict(
                f"another promotion was first: version {current} of {name} holds {alias} now, and this challenger was "
                f"judged against {replaced or 'nobody'}. Nothing was moved; promote again"
            )
        version = _register(store, model, challenger, model_id, version_tags(challenger, alias, gates, replaced), gates)
        move(store, lock, model, alias, move_of(challenger, version, replaced, gates))
    return version


def _register(
    store: RegistryStore,
    model: Entry,
    challenger: Challenger,
    model_id: str,
    tags: Mapping[str, str],
    gates: Sequence[Gate],
) -> str:
    """A version with all its tags: a new one, unless a promotion that was cut off has left one; gives its number.

    A version is the record of one promotion: what has held an alias, and was taken back, is not written over.
    """
    text = description(challenger, gates)
    left = _left_over(store, model, model_id, tags)
    if left is None:
        return store.create_version(model.name, model_id, tags, text)
    store.renew_version(left, tags, text)
    return str(left.version)


def _left_over(store: RegistryStore, model: Entry, model_id: str, tags: Mapping[str, str]) -> ModelVersion | None:
    """A version of the same logged model that was registered for the same alias, and has never held any."""
    held = {step.version for step in moves(model, tags[ALIAS_TAG])} | set(model.aliases.values())
    known = store.versions_of_model(model.name, tags[RUN_TAG], model_id)
    found = [version for version in known if str(version.version) not in held and is_same(version.tags, tags)]
    return found[-1] if found else None


def _verdict(*, refused: bool, dry_run: bool) -> Verdict:
    if dry_run:
        return Verdict.WOULD_BE_REFUSED if refused else Verdict.WOULD_BE_PROMOTED
    return Verdict.REFUSED


def _told(
    request: Request,
    challenger: Challenger,
    verdict: Verdict,
    gates: Sequence[Gate],
    version: str | None,
    replaced: str | None,
) -> Promotion:
    ranked = challenger.ranked
    sweep = challenger.result.sweep
    return Promotion(request, sweep, ranked.trial, ranked.run_id, verdict, tuple(gates), version, replaced)
