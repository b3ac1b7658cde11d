"""Promotion against a real MLflow server: who becomes champion, what is recorded, and what happens on failure."""

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus
from mlflow.models import Model
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.config import load
from sweeps.errors import InputError, PromotionConflict, TrackingError, UnknownModel
from sweeps.registry.alias_history import Move, MoveKind, moves
from sweeps.registry.alias_lock import Lock
from sweeps.registry.alias_move import rollback
from sweeps.registry.audit import CheckOutcome, audit
from sweeps.registry.challenger import Challenger
from sweeps.registry.gates import GateResult, judge
from sweeps.registry.mlflow_registry import RegistryStore
from sweeps.registry.packaged_model import PackagedModel
from sweeps.registry.packaging import Package
from sweeps.registry.promote import promote
from sweeps.registry.promotion import Promotion, PromotionVerdict, Request
from sweeps.registry.significance import GateOutcome
from sweeps.tracking.mlflow.run_metadata import environment_tags
from sweeps.tracking.person import claimed_person
from sweeps.tracking.results import SweepResult
from sweeps.tracking.trial_lookup import find_trial

pytestmark = pytest.mark.slow

LAST_STEPS = [
    "registered-models/create",  # the lock
    "model-versions/create",
    "model-versions/set-tag",
    "registered-models/set-tag",
    "registered-models/alias",
    "model-versions/set-tag",
    "registered-models/set-tag",
    "registered-models/delete",
]
Deliver = Callable[..., SweepResult]
BETTER = {"training": {"epochs": 6, "learning_rate": 0.01, "batch_size": 32, "probe_samples": 0}}
OTHER_SEED = {"training": {"epochs": 2, "learning_rate": 0.01, "batch_size": 32, "probe_samples": 0, "seed": 1}}


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A registered model of this test's own."""
    return request.node.name.replace("[", "-").replace("]", "")[:90]


def outcomes(promotion: Promotion) -> dict[str, str]:
    return {gate.name: str(gate.outcome) for gate in promotion.gates}


def test_the_first_champion_is_registered_with_its_origin_and_its_gates(
    delivered: Deliver, server: Any, name: str
) -> None:
    result = delivered()
    promotion = promote(result.sweep, None, Request(name, first=True))
    assert promotion.verdict is PromotionVerdict.PROMOTED, [
        f"{gate.name} {gate.outcome}: {gate.sentence}" for gate in promotion.gates
    ]
    version = MlflowClient(server.uri).get_model_version_by_alias(name, "champion")
    assert version.version == promotion.version == "1"
    assert version.run_id == promotion.run_id
    tags = version.tags
    assert (tags["sweeps.sweep"], tags["sweeps.trial"], tags["sweeps.replaced"]) == (result.sweep, "0000", "none")
    assert tags["sweeps.data.checksum"] == result.record.dataset["checksum"]
    assert tags["sweeps.forced"] == "false"
    assert tags["sweeps.epoch"] == str(result.best.epoch)
    assert tags["sweeps.commit"] == environment_tags().get("mlflow.source.git.commit", "unknown")
    assert tags["sweeps.promoted_by"] == str(claimed_person())
    age = datetime.now(UTC) - datetime.fromisoformat(tags["sweeps.promoted_at"])
    assert timedelta(seconds=-1) < age < timedelta(minutes=10)
    assert gate(promotion, "diagnosis").numbers["epoch"] == result.best.epoch
    assert [gate["name"] for gate in json.loads(tags["sweeps.gates"])] == list(outcomes(promotion))
    assert tags["sweeps.gate.champion"].startswith("not applicable: no version holds the alias")
    assert outcomes(promotion) == {
        "test metrics": "passed",
        "same data": "not applicable",
        "champion": "not applicable",
        "reference": "passed",
        "diagnosis": "passed",
        "dead units": "passed",
        "reloaded": "passed",
        "size": "passed",
        "latency": "passed",
    }


def test_without_first_and_a_champion_nothing_is_registered(delivered: Deliver, server: Any, name: str) -> None:
    promotion = promote(delivered().sweep, None, Request(name))
    assert (promotion.verdict, promotion.exit_status) == (PromotionVerdict.REFUSED, 1)
    assert "--first" in gate(promotion, "champion").sentence
    assert RegistryStore(server.uri).find(name) is None


def test_a_better_challenger_is_promoted_a_worse_one_refused_and_rollback_restores_the_champion(
    delivered: Deliver, server: Any, name: str
) -> None:
    good, better = delivered(), delivered(**BETTER)
    store = RegistryStore(server.uri)
    promote(good.sweep, None, Request(name, first=True))

    accepted = promote(better.sweep, None, Request(name))
    assert (accepted.verdict, accepted.version, accepted.replaced) == (PromotionVerdict.PROMOTED, "2", "1")
    numbers = gate(accepted, "champion").numbers
    assert numbers["challenger"] < numbers["other"]
    assert numbers["low"] < numbers["difference"] < numbers["high"] < 0

    refused = promote(good.sweep, "0000", Request(name))
    assert (refused.verdict, refused.version, refused.exit_status) == (PromotionVerdict.REFUSED, None, 1)
    assert gate(refused, "champion").sentence.startswith("worse than version 2")
    assert gate(refused, "champion").numbers["difference"] == pytest.approx(-numbers["difference"], rel=1e-4)
    assert champion(store, name) == "2"

    assert rollback(store, name, "champion").version == "1"
    assert champion(store, name) == "1"
    history = moves(store.find(name), "champion")
    assert [(step.version, step.replaced, step.kind) for step in history] == [
        ("1", None, MoveKind.PROMOTION),
        ("2", "1", MoveKind.PROMOTION),
        ("1", "2", MoveKind.ROLLBACK),
    ]
    assert [step.sweep for step in history] == [good.sweep, better.sweep, good.sweep]
    assert all(step.when and "@" in step.who for step in history)
    assert history[1].reason.startswith("better than version 1")
    with pytest.raises(UnknownModel, match="first to hold"):
        rollback(store, name, "champion")

    # A version that was rolled back keeps its record: promoted again, its trial becomes a new version.
    record = store.version(name, "2").tags
    again = promote(better.sweep, None, Request(name))
    assert (again.verdict, again.version, again.replaced) == (PromotionVerdict.PROMOTED, "3", "1")
    assert store.version(name, "2").tags == record
    assert len(ready_models(server, better)) == 1


def test_a_tie_keeps_the_champion(delivered: Deliver, server: Any, name: str) -> None:
    strict = {"promotion": {"confidence": 0.9999}, "data": {"name": "digits", "n_test": 12}}
    promote(delivered(**strict).sweep, None, Request(name, first=True))
    promotion = promote(delivered(**strict, **OTHER_SEED).sweep, None, Request(name))
    assert outcomes(promotion)["champion"] == "tie"
    assert promotion.verdict is PromotionVerdict.REFUSED
    assert champion(RegistryStore(server.uri), name) == "1"


def test_a_dry_run_judges_and_leaves_no_trace(delivered: Deliver, server: Any, name: str) -> None:
    result = delivered()
    dry = promote(result.sweep, None, Request(name, first=True, dry_run=True))
    assert (dry.verdict, dry.version, dry.exit_status) == (PromotionVerdict.WOULD_BE_PROMOTED, None, 0)
    refused = promote(result.sweep, None, Request(name, dry_run=True))
    assert (refused.verdict, refused.exit_status) == (PromotionVerdict.WOULD_BE_REFUSED, 1)
    client = MlflowClient(server.uri)
    assert RegistryStore(server.uri).find(name) is None
    assert not client.search_logged_models([result.record.experiment_id], f"source_run_id = '{dry.run_id}'")


def test_force_promotes_despite_failed_gates_and_is_recorded(delivered: Deliver, server: Any, name: str) -> None:
    result = delivered(promotion={"max_latency_ms": 1e-9})
    promotion = promote(result.sweep, None, Request(name, first=True, force=True))
    assert (promotion.verdict, promotion.is_forced) == (PromotionVerdict.PROMOTED, True)
    store = RegistryStore(server.uri)
    assert store.version(name, "1").tags["sweeps.forced"] == "true"
    (step,) = moves(store.find(name), "champion")
    assert step.kind is MoveKind.FORCED
    assert step.reason.startswith("past failed gates: latency")


def test_promoting_the_champion_again_changes_nothing(delivered: Deliver, server: Any, name: str) -> None:
    result = delivered()
    promote(result.sweep, None, Request(name, first=True))
    again = promote(result.sweep, None, Request(name))
    assert (again.verdict, again.version, again.exit_status) == (PromotionVerdict.ALREADY, "1", 0)
    assert len(moves(RegistryStore(server.uri).find(name), "champion")) == 1


def test_a_collapsed_model_with_a_good_looking_loss_is_refused_by_the_name_of_its_diagnosis(
    delivered: Deliver, server: Any, name: str
) -> None:
    sizes = ["data.n_samples=24000", "data.n_train=20000", "data.n_valid=2000", "data.n_test=2000"]
    result = delivered(load("identity-raw84", [*sizes, "training.epochs=4", "training.learning_rate=0.05"]))
    assert result.best.metrics["valid/mse"] < 1e-3  # the loss looks good
    promotion = promote(result.sweep, None, Request(name, first=True))
    assert promotion.verdict is PromotionVerdict.REFUSED
    assert gate(promotion, "diagnosis").sentence.startswith("no better than the mean: the features hardly vary")
    assert not gate(promotion, "reference").passes
    assert RegistryStore(server.uri).find(name) is None


def test_other_data_than_the_champions_are_refused(delivered: Deliver, name: str) -> None:
    promote(delivered().sweep, None, Request(name, first=True))
    promotion = promote(delivered(data={"name": "digits", "seed": 7}, **BETTER).sweep, None, Request(name))
    assert promotion.verdict is PromotionVerdict.REFUSED
    assert outcomes(promotion)["same data"] == "failed"
    assert "other data" in gate(promotion, "champion").sentence


def test_a_sweep_without_test_samples_is_refused_with_advice(delivered: Deliver, name: str) -> None:
    promotion = promote(delivered(data={"name": "digits", "n_test": 0}).sweep, None, Request(name, first=True))
    assert promotion.verdict is PromotionVerdict.REFUSED
    assert "data.n_test" in gate(promotion, "test metrics").sentence
    assert outcomes(promotion)["diagnosis"] == "passed"


def test_of_two_concurrent_promotions_one_wins_and_the_other_is_rejected(
    delivered: Deliver, server: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [delivered(), delivered(**OTHER_SEED)]
    both_have_judged, one_exports = threading.Barrier(2), threading.RLock()
    trace, save, exported = vars(Package)["exported"], Package.save, PackagedModel.exported

    def trace_alone(package: Package) -> Any:
        with one_exports:
            return trace.__get__(package, Package)

    def save_alone(*given: Any) -> None:
        with one_exports:  # torch traces one model at a time in a process; promotions have a process each
            save(*given)

    def load_alone(model: PackagedModel) -> PackagedModel:
        with one_exports:
            return exported(model)

    def judge_and_wait(contest: Any) -> Any:
        gates = judge(contest)
        both_have_judged.wait(60)
        return gates

    monkeypatch.setattr(Package, "exported", property(trace_alone))
    monkeypatch.setattr(Package, "save", save_alone)
    monkeypatch.setattr(PackagedModel, "exported", load_alone)
    monkeypatch.setattr("sweeps.registry.promote.judge", judge_and_wait)
    ends: list[Any] = []

    def run(result: SweepResult) -> None:
        try:
            ends.append(promote(result.sweep, None, Request(name, first=True)))
        except PromotionConflict as rejected:
            ends.append(rejected)

    threads = [threading.Thread(target=run, args=(result,)) for result in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    (winner,) = [end for end in ends if isinstance(end, Promotion)]
    (conflict,) = [end for end in ends if isinstance(end, PromotionConflict)]
    assert "promote again" in str(conflict)
    store = RegistryStore(server.uri)
    assert champion(store, name) == winner.version == "1"
    assert store.version(name, "1").tags["sweeps.sweep"] == winner.sweep
    assert store.version(name, "2") is None
    assert not store.find_all(f"{name}.champion.lock")


def test_an_undelivered_sweep_must_be_delivered_first(
    server: Any, small_sweep: Any, run_here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    with pytest.raises(InputError, match="sweeps sync"):
        promote(run_here(small_sweep()).sweep, None, Request("undelivered", first=True))


def test_another_store_than_the_sweeps_is_refused(
    delivered: Deliver, own_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = delivered()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{own_home}/other.db")
    with pytest.raises(InputError, match="must name the store that has the runs"):
        promote(result.sweep, None, Request("elsewhere", first=True))


@pytest.mark.parametrize("n_checks", [0, 1], ids=["before it is recorded", "before the alias moves"])
def test_an_interrupted_promotion_is_completed_by_the_next_one_without_a_duplicate(
    delivered: Deliver, server: Any, name: str, monkeypatch: pytest.MonkeyPatch, n_checks: int
) -> None:
    challenger, store, checked = delivered(), RegistryStore(server.uri), 0
    asked = GateResult("seeds", GateOutcome.PASSED, "of the interrupted promotion")

    def expire(_: Lock) -> None:
        nonlocal checked
        checked += 1
        if checked > n_checks:
            raise PromotionConflict("the lock has run out")

    with monkeypatch.context() as patch:
        patch.setattr(Lock, "check", expire)
        patch.setattr("sweeps.registry.promote.judge", lambda contest: [*judge(contest), asked])
        with pytest.raises(PromotionConflict, match="run out"):
            promote(challenger.sweep, None, Request(name, first=True))
    assert champion(store, name) is None
    assert moves(store.find(name), "champion") == []

    again = promote(challenger.sweep, None, Request(name, first=True))
    assert (again.verdict, again.version, champion(store, name)) == (PromotionVerdict.PROMOTED, "1", "1")
    assert len(moves(store.find(name), "champion")) == 1
    assert n_versions(server, name, "champion") == len(ready_models(server, challenger)) == 1
    version = store.version(name, "1")
    assert json.loads(version.tags["sweeps.gates"]) == [gate.to_dict() for gate in again.gates]
    assert {key for key in version.tags if key.startswith("sweeps.gate.")} == {
        f"sweeps.gate.{gate.name.replace(' ', '_')}" for gate in again.gates
    }
    assert asked.sentence not in version.description


def test_a_champion_that_changed_during_the_judging_stays(
    delivered: Deliver, server: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, better, store = delivered(), delivered(**BETTER), RegistryStore(server.uri)
    promote(first.sweep, None, Request(name, first=True))
    promote(first.sweep, None, Request(name, "canary", first=True))

    def judge_meanwhile(contest: Any) -> Any:
        store.set_alias(name, "champion", "2")
        return judge(contest)

    monkeypatch.setattr("sweeps.registry.promote.judge", judge_meanwhile)
    with pytest.raises(PromotionConflict, match=r"version 2 of .* holds champion now"):
        promote(better.sweep, None, Request(name))
    assert champion(store, name) == "2"
    assert store.version(name, "3") is None
    assert not store.find_all(f"{name}.champion.lock")


def test_rollback_refuses_a_version_that_was_never_judged(server: Any, name: str) -> None:
    store, client = RegistryStore(server.uri), MlflowClient(server.uri)
    over = Move("2", "1", MoveKind.FORCED, "past failed gates").to_dict() | {"made": True}
    store.create(name, {"sweeps.history.champion.00001": json.dumps(over)}, "")
    for _ in range(2):
        client.create_model_version(name, "s3://elsewhere/model")
    store.set_alias(name, "champion", "2")
    with pytest.raises(UnknownModel, match=r"version 1 of .* must have been judged by gates"):
        rollback(store, name, "champion")
    assert champion(store, name) == "2"
    client.set_model_version_tag(name, "1", "sweeps.gates", "[]")
    assert rollback(store, name, "champion").version == "1"


def test_history_lists_the_versions_of_an_alias_that_was_deleted_in_mlflow_directly(
    server: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    held = Move("1", None, MoveKind.PROMOTION, "the first").to_dict() | {"made": True}
    RegistryStore(server.uri).create(name, {"sweeps.history.champion.00001": json.dumps(held)}, "")
    done = CliRunner().invoke(app, ["history", name, "--json"])
    assert done.exit_code == 0, done.output
    plain = json.loads(done.stdout)
    assert (plain["holder"], [move["version"] for move in plain["moves"]]) == (None, ["1"])
    never = CliRunner().invoke(app, ["history", name, "--alias", "canary"])
    assert "no version has held canary" in " ".join(never.stdout.split())
    with pytest.raises(UnknownModel, match="holds the alias"):
        rollback(RegistryStore(server.uri), name, "champion")


@pytest.mark.parametrize(
    "request_", [Request("a/b"), Request("it's"), Request("m", alias="latest"), Request("m", "v3")]
)
def test_names_that_mlflow_does_not_accept_are_refused_at_once(request_: Request) -> None:
    with pytest.raises(InputError, match="must be up to"):
        promote("no-such-sweep", None, request_)


def test_a_rollback_of_an_unregistered_model_is_refused(server: Any) -> None:
    store = RegistryStore(server.uri)
    with pytest.raises(UnknownModel, match="no model 'nothing' is registered"):
        rollback(store, "nothing", "champion")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_registry_that_fails_between_its_calls_leaves_the_alias_as_before_or_after(
    delivered: Deliver, server: Any, name: str, faulty: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, challenger = delivered(), delivered(**BETTER)
    promote(first.sweep, None, Request(name, first=True))
    judged: dict[str, Any] = {}

    def judge_once(contest: Any) -> Any:
        """The same challenger against the same champion, dozens of times: no request depends on the second judging."""
        if contest.champion.version not in judged:
            judged[contest.champion.version] = judge(contest)
        return list(judged[contest.champion.version])

    monkeypatch.setattr("sweeps.registry.promote.judge", judge_once)
    export_once(monkeypatch, tmp_path)
    with faulty(server.uri) as (address, fault):
        monkeypatch.setattr("sweeps.registry.promote._store_of", lambda _: address)
        attempts = Attempts(server, name, challenger, fault)
        for whole in ("judged", "whole"):
            attempts.prepare(whole)
            assert attempts.promote(whole) is not None
            do_once(monkeypatch, Challenger.of(*find_trial(challenger.sweep, None)))
        requests = list(fault.asked)
        for number, asked in ends_of_rows(requests):
            # A request that changes something may also have arrived, and only its response was lost.
            for reaches in (False, True) if not asked.startswith("GET") else (False,):
                attempts.fail_and_repeat(number, asked, reaches)
        changes = [asked for asked in requests if not asked.startswith("GET")]
        assert [asked.rpartition("/mlflow/")[2] for asked in changes[-len(LAST_STEPS) :]] == LAST_STEPS


@dataclass
class Attempts:
    """Promotions of one challenger to one alias after another, past a server that fails at a chosen request."""

    server: Any
    name: str
    challenger: SweepResult
    fault: Any

    def promote(self, alias: str) -> Promotion | None:
        """Promote the challenger; None if the promotion fails."""
        try:
            return promote(self.challenger.sweep, None, Request(self.name, alias))
        except (TrackingError, PromotionConflict):
            return None

    def prepare(self, alias: str) -> None:
        """Point the alias at the first champion; the challenger is logged anew, by the same requests every time."""
        RegistryStore(self.server.uri).set_alias(self.name, alias, "1")
        client = MlflowClient(self.server.uri)
        for model in client.search_logged_models([self.challenger.record.experiment_id]):
            client.delete_logged_model(model.model_id)
        self.fault.asked = []

    def fail_and_repeat(self, number: int, asked: str, reaches: bool) -> None:
        """Fail at one request: the alias is as before or after, and a second attempt completes the promotion."""
        alias, store = f"alias-{number}-{reaches}".lower(), RegistryStore(self.server.uri)
        self.prepare(alias)
        self.fault.request, self.fault.reaches = number, reaches
        ended = self.promote(alias)
        assert len(self.fault.asked) >= number, asked
        held = store.find(self.name).aliases[alias]
        if held != "1":  # as after: a version that was judged, by a promotion that may not know of it
            assert json.loads(store.version(self.name, held).tags["sweeps.gates"])
        assert ended is None or ended.version == held, asked
        self.fault.request = None
        again = self.promote(alias)
        assert again is not None, (asked, reaches)
        assert again.verdict in (PromotionVerdict.PROMOTED, PromotionVerdict.ALREADY), (asked, reaches)
        assert store.find(self.name).aliases[alias] == again.version != "1"
        assert [step.version for step in moves(store.find(self.name), alias)] == ["1", again.version]
        if not asked.startswith("GET"):  # the log and MLflow agree, whichever change failed
            checks = audit(store, self.name, alias).checks
            assert not [check for check in checks if check.outcome is CheckOutcome.FAILED], (asked, reaches)
        n_registered = n_versions(self.server, self.name, alias)
        assert n_registered == len(ready_models(self.server, self.challenger)) == 1, (asked, reaches)


def gate(promotion: Promotion, name: str) -> Any:
    return next(gate for gate in promotion.gates if gate.name == name)


def ends_of_rows(requests: list[str]) -> list[tuple[int, str]]:
    """The requests with their numbers, from 1; of consecutive file transfers only the first and the last."""
    kinds = [asked.partition("/artifacts/")[0] for asked in requests]
    around = zip([None, *kinds[:-1]], kinds, [*kinds[1:], None], requests, strict=True)
    found = [
        (number, asked)
        for number, (before, kind, after, asked) in enumerate(around, start=1)
        if "/artifacts/" not in asked or not before == kind == after
    ]
    assert len(found) > 30
    return found


def export_once(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Export the challenger once, then copy it with the ids of each logged model: every request is still made."""
    save, template = Package.save, folder / "exported"

    def save_or_copy(package: Package, target: Path, model: Model) -> None:
        if not template.exists():
            save(package, template)
        shutil.copytree(template, target)
        described = Model.load(str(template))
        described.artifact_path, described.run_id = model.artifact_path, model.run_id
        described.model_uuid, described.model_id = model.model_uuid, model.model_id
        described.save(str(target / "MLmodel"))

    monkeypatch.setattr(Package, "save", save_or_copy)


def do_once(monkeypatch: pytest.MonkeyPatch, challenger: Challenger) -> None:
    """Skip repeated work that makes no request to MLflow: loading data, networks and packaged models."""
    monkeypatch.setattr(Challenger, "of", lambda *_: challenger)

    def is_whole(folder: Path, digest: str, **_: Any) -> Any:
        assert (folder / "MLmodel").is_file()
        return SimpleNamespace(digest=digest, exported=lambda: None)

    monkeypatch.setattr(PackagedModel, "load", is_whole)


def n_versions(server: Any, name: str, alias: str) -> int:
    """Return the number of versions that were registered for an alias."""
    found = MlflowClient(server.uri).search_model_versions(f"name = '{name}'", max_results=1000)
    return sum(version.tags.get("sweeps.alias") == alias for version in found)


def ready_models(server: Any, result: SweepResult) -> list[Any]:
    """Return the completely logged models of a sweep's best trial."""
    found = MlflowClient(server.uri).search_logged_models([result.record.experiment_id])
    return [m for m in found if m.source_run_id == result.best.run_id and m.status == LoggedModelStatus.READY]


def champion(store: RegistryStore, name: str) -> str | None:
    return store.find(name).aliases.get("champion")
