"""From a trial to the champion: package, judge, register, move the alias. Read it from top to bottom.

A version is registered only after every gate has judged, with all its tags at once. The alias moves last, under its
lock, and only if the champion is still the one that the challenger was judged against. A failure between any two steps
leaves the alias in place, and a repeated promotion reuses what the failed one has logged and registered.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mlflow.entities.model_registry import ModelVersion

from sweeps.errors import InputError, PromotionConflict
from sweeps.registry.alias_history import moves
from sweeps.registry.alias_lock import locked
from sweeps.registry.alias_move import move
from sweeps.registry.challenger import ALIAS_TAG, Challenger, description, evidence, is_same, move_of, version_tags
from sweeps.registry.challenger_package import package_challenger
from sweeps.registry.champion import find_champion
from sweeps.registry.contest import Contest, Reseeding
from sweeps.registry.gates import GateResult, failed, judge
from sweeps.registry.mlflow_registry import NETWORK_TAG, RUN_TAG, RegisteredModel, RegistryStore
from sweeps.registry.names import check_names, who
from sweeps.registry.promotion import Promotion, PromotionVerdict, Request
from sweeps.registry.refusal import Refusal
from sweeps.registry.reseeding import reseed
from sweeps.tracking.mlflow.uri import tracking_uri, without_credentials
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult
from sweeps.tracking.trial_lookup import NamedRun, TrialName, find_trial


@dataclass(frozen=True)
class _Attempt:
    """One attempt to promote a challenger in a store.

    `replaced` is the version that the challenger replaces, None if there is none; `package_sha256` is the digest of
    its packaged files; `gates` are empty until they judged, and `advice` until they refused.
    """

    store: RegistryStore
    request: Request
    challenger: Challenger
    replaced: str | None = None
    package_sha256: str | None = None
    gates: Sequence[GateResult] = ()
    advice: str | None = None

    @property
    def is_refused(self) -> bool:
        """Whether a gate has failed and the promotion is not forced."""
        return bool(failed(self.gates)) and not self.request.force

    def end(self, verdict: PromotionVerdict, version: str | None = None) -> Promotion:
        """Return the result of the attempt."""
        ranked, sweep = self.challenger.ranked, self.challenger.result.sweep
        return Promotion(
            self.request,
            sweep,
            ranked.trial,
            ranked.run_id,
            verdict,
            tuple(self.gates),
            version,
            self.replaced,
            self.advice,
            self.package_sha256,
        )


def promote(
    run: str | NamedRun,
    trial: TrialName,
    request: Request,
    watch: Callable[[Progress], None] | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> Promotion:
    """Judge the trial that `run` and `trial` name; move the alias to it if it passes, or if forced.

    `watch` is called with the progress of the sweep that trains the point on other seeds, `log` with a line before a
    long step. Raises InputError if there is nothing to judge, TrackingError if MLflow fails, PromotionConflict if
    another promotion moved the alias first.
    """
    check_names(request.model, request.alias)
    challenger = Challenger.of(*find_trial(run, trial))
    attempt = _Attempt(RegistryStore(_store_of(challenger.result)), request, challenger)
    if (changed := challenger.changed_plugin) is not None:
        log(changed)
    with tempfile.TemporaryDirectory(prefix="sweeps-promote-") as scratch:
        folder = Path(scratch)
        champion = find_champion(attempt.store, request, challenger, folder / "champion", log)
        is_challenger = champion is not None and champion.tags.get(NETWORK_TAG) == challenger.digest
        if champion is not None and is_challenger and champion.problem is None:
            attempt = replace(attempt, replaced=champion.tags.get("sweeps.replaced"))
            return attempt.end(PromotionVerdict.ALREADY, champion.version)
        model_id, model = package_challenger(attempt.store, challenger, folder, log, dry_run=request.dry_run)
        attempt = replace(attempt, package_sha256=model.digest)
        contest = Contest(
            benchmark=challenger.benchmark,
            network=challenger.network,
            rediagnosis=challenger.rediagnose(),
            champion=champion,
            first=request.first,
            packaged=model,
            exported=model.exported(),
            reseed=_reseed(attempt, watch),
        )
        attempt = replace(attempt, replaced=None if champion is None else champion.version, gates=judge(contest))
        if attempt.is_refused:
            refusal = Refusal(challenger, champion, contest.rediagnosis, request, attempt.gates, log)
            attempt = replace(attempt, advice=refusal.advice())
    if request.dry_run or attempt.is_refused:
        return attempt.end(_verdict(attempt))
    assert model_id is not None
    return attempt.end(PromotionVerdict.PROMOTED, _install(attempt, model_id))


def _store_of(result: SweepResult) -> str:
    """Return the URI of the store that has the sweep's runs: a version refers to one of them."""
    uri = tracking_uri(None if "MLFLOW_TRACKING_URI" in os.environ else result.store)
    if result.store is not None and without_credentials(uri) != result.store:
        raise InputError(
            f"MLFLOW_TRACKING_URI must name the store that has the runs of {result.sweep}, {result.store}, not "
            f"{without_credentials(uri)}: unset it, or deliver the runs there with `sweeps sync {result.sweep}`"
        )
    return uri


def _reseed(attempt: _Attempt, watch: Callable[[Progress], None] | None) -> Callable[[Contest], Reseeding] | None:
    """Return the function that trains the point on other seeds; None if no other seeds are requested."""
    n_seeds = attempt.request.n_seeds
    if n_seeds is None:
        n_seeds = attempt.challenger.benchmark.limits.seeds
    return partial(reseed, n_seeds=n_seeds, uri=attempt.store.uri, watch=watch) if n_seeds else None


def _verdict(attempt: _Attempt) -> PromotionVerdict:
    """Return the verdict if nothing is to be registered."""
    if not attempt.request.dry_run:
        return PromotionVerdict.REFUSED
    return PromotionVerdict.WOULD_BE_REFUSED if attempt.is_refused else PromotionVerdict.WOULD_BE_PROMOTED


def _install(attempt: _Attempt, model_id: str) -> str:
    """Register the challenger and point the alias at it; return the version."""
    store, name, alias = attempt.store, attempt.request.model, attempt.request.alias
    assert attempt.package_sha256 is not None
    person = who(store.uri)
    tags = version_tags(attempt.challenger, alias, attempt.gates, attempt.replaced, person, attempt.package_sha256)
    if store.find(name) is None:
        store.create(name, {}, f"An autoencoder, promoted by `sweeps`; the alias {alias} names its champion.")
    with locked(store, name, alias) as lock:
        model = store.find(name)
        current = None if model is None else model.aliases.get(alias)
        if model is None or current != attempt.replaced:
            raise PromotionConflict(
                f"another promotion was first: version {current} of {name} holds {alias} now, and this challenger was "
                f"judged against {attempt.replaced or 'no champion'}. Nothing was moved; promote again"
            )
        version = _register(attempt, model, model_id, tags)
        step = move_of(attempt.challenger, version, attempt.replaced, attempt.gates, person)
        move(store, lock, model, alias, step, evidence(tags, attempt.gates, person, attempt.package_sha256))
    return version


def _register(attempt: _Attempt, model: RegisteredModel, model_id: str, tags: Mapping[str, str]) -> str:
    """Register a version with all its tags, or reuse the one that an interrupted promotion left; return its number.

    A version is the record of one promotion: one that has held an alias is never overwritten.
    """
    text = description(attempt.challenger, attempt.gates)
    unused = _unused_version(attempt.store, model, model_id, tags)
    if unused is None:
        return attempt.store.create_version(model.name, model_id, tags, text)
    attempt.store.replace_tags(unused, tags, text)
    return str(unused.version)


def _unused_version(
    store: RegistryStore, model: RegisteredModel, model_id: str, tags: Mapping[str, str]
) -> ModelVersion | None:
    """Return a version of the same logged model that was registered for the same alias and has never held any."""
    held = {step.version for step in moves(model, tags[ALIAS_TAG])} | set(model.aliases.values())
    known = store.versions_of_model(model.name, tags[RUN_TAG], model_id)
    found = [version for version in known if str(version.version) not in held and is_same(version.tags, tags)]
    return found[-1] if found else None
