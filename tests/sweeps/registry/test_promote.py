"""Promotion against a real MLflow server: who becomes champion, what is remembered, and what happens when it fails."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from mlflow import MlflowClient

from sweeps.config import load
from sweeps.errors import InputError, PromotionConflict, TrackingError, UnknownModel
from sweeps.registry.history import MoveKind, moves, rollback
from sweeps.registry.judging import judge
from sweeps.registry.packaging import Package
from sweeps.registry.promote import promote
from sweeps.registry.promotion import Promotion, Request, Verdict
from sweeps.registry.store import RegistryStore
from sweeps.results import SweepResult

pytestmark = pytest.mark.slow

LAST_STEPS = [
    "registered-models/create",  # the lock
    "model-versions/create",
    "registered-models/set-tag",
    "registered-models/alias",
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


def test_the_first_champion_is_registered_with_everything_that_it_was_judged_by(
    delivered: Deliver, server: Any, name: str
) -> None:
    result = delivered()
    promotion = promote(result.sweep, None, Request(name, first=True))
    assert promotion.verdict is Verdict.PROMOTED, [
        f"{gate.name} {gate.outcome}: {gate.sentence}" for gate in promotion.gates
    ]
    version = MlflowClient(server.uri).get_model_version_by_alias(name, "champion")
    assert version.version == promotion.version == "1"
    assert version.run_id == promotion.run_id
    tags = version.tags
    assert (tags["sweeps.sweep"], tags["sweeps.trial"], tags["sweeps.replaced"]) == (result.sweep, "0000", "none")
    assert tags["sweeps.data.checksum"] == result.record.dataset["checksum"]
    assert tags["sweeps.forced"] == "false"
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


def test_without_first_nobody_becomes_champion_and_nothing_is_registered(
    delivered: Deliver, server: Any, name: str
) -> None:
    promotion = promote(delivered().sweep, None, Request(name))
    assert (promotion.verdict, promotion.exit_status) == (Verdict.REFUSED, 1)
    assert "--first" in gate(promotion, "champion").sentence
    assert RegistryStore(server.uri).find(name) is None


def test_a_better_one_takes_over_a_worse_one_is_refused_and_rollback_goes_back(
    delivered: Deliver, server: Any, name: str
) -> None:
    good, better = delivered(), delivered(**BETTER)
    store = RegistryStore(server.uri)
    promote(good.sweep, None, Request(name, first=True))

    accepted = promote(better.sweep, None, Request(name))
    assert (accepted.verdict, accepted.version, accepted.replaced) == (Verdict.PROMOTED, "2", "1")
    numbers = gate(accepted, "champion").numbers
    assert numbers["challenger"] < numbers["other"]
    assert numbers["low"] < numbers["difference"] < numbers["high"] < 0

    refused = promote(good.sweep, "0000", Request(name))
    assert (refused.verdict, refused.version, refused.exit_status) == (Verdict.REFUSED, None, 1)
    assert gate(refused, "champion").sentence.startswith("worse than version 2")
    assert gate(refused, "champion").numbers["difference"] == pytest.approx(-numbers["difference"], rel=1e-4)
    assert champion(store, name) == "2"

    assert rollback(store, name, "champion").version == "1"
    assert champion(store, name) == "1"
    told = moves(store.find(name), "champion")
    assert [(step.version, step.replaced, step.kind) for step in told] == [
        ("1", None, MoveKind.PROMOTION),
        ("2", "1", MoveKind.PROMOTION),
        ("1", "2", MoveKind.ROLLBACK),
    ]
    assert [step.sweep for step in told] == [good.sweep, better.sweep, good.sweep]
    assert all(step.when and "@" in step.who for step in told)
    assert told[1].reason.startswith("better than version 1")
    with pytest.raises(UnknownModel, match="first to hold"):
        rollback(store, name, "champion")


def test_a_tie_leaves_the_champion_in_its_place(delivered: Deliver, server: Any, name: str) -> None:
    strict = {"promotion": {"confidence": 0.9999}, "data": {"name": "digits", "n_test": 12}}
    promote(delivered(**strict).sweep, None, Request(name, first=True))
    promotion = promote(delivered(**strict, **OTHER_SEED).sweep, None, Request(name))
    assert outcomes(promotion)["champion"] == "tie"
    assert promotion.verdict is Verdict.REFUSED
    assert champion(RegistryStore(server.uri), name) == "1"


def test_a_dry_run_judges_and_leaves_no_trace(delivered: Deliver, server: Any, name: str) -> None:
    result = delivered()
    told = promote(result.sweep, None, Request(name, first=True, dry_run=True))
    assert (told.verdict, told.version, told.exit_status) == (Verdict.WOULD_BE_PROMOTED, None, 0)
    refused = promote(result.sweep, None, Request(name, dry_run=True))
    assert (refused.verdict, refused.exit_status) == (Verdict.WOULD_BE_REFUSED, 1)
    client = MlflowClient(server.uri)
    assert RegistryStore(server.uri).find(name) is None
    assert not client.search_logged_models([result.record.experiment_id], f"source_run_id = '{told.run_id}'")


def test_force_moves_past_failed_gates_and_is_remembered(delivered: Deliver, server: Any, name: str) -> None:
    result = delivered(promotion={"max_latency_ms": 1e-9})
    promotion = promote(result.sweep, None, Request(name, first=True, force=True))
    assert (promotion.verdict, promotion.is_forced) == (Verdict.PROMOTED, True)
    store = RegistryStore(server.uri)
    assert store.version(name, "1").tags["sweeps.forced"] == "true"
    (step,) = moves(store.find(name), "champion")
    assert step.kind is MoveKind.FORCED
    assert step.reason.startswith("past failed gates: latency")


def test_promoting_the_champion_again_changes_nothing(delivered: Deliver, server: Any, name: str) -> None:
    result = delivered()
    promote(result.sweep, None, Request(name, first=True))
    again = promote(result.sweep, None, Request(name))
    assert (again.verdict, again.version, again.exit_status) == (Verdict.ALREADY, "1", 0)
    assert len(moves(RegistryStore(server.uri).find(name), "champion")) == 1


def test_a_collapsed_model_with_a_good_looking_loss_is_refused_by_the_name_of_its_diagnosis(
    delivered: Deliver, server: Any, name: str
) -> None:
    sizes = ["data.n_samples=24000", "data.n_train=20000", "data.n_valid=2000", "data.n_test=2000"]
    result = delivered(load("identity-raw84", [*sizes, "training.epochs=4", "training.learning_rate=0.05"]))
    assert result.best.metrics["valid/mse"] < 1e-3  # it looks done
    promotion = promote(result.sweep, None, Request(name, first=True))
    assert promotion.verdict is Verdict.REFUSED
    assert gate(promotion, "diagnosis").sentence.startswith("no better than the mean: the features hardly vary")
    assert not gate(promotion, "reference").is_open
    assert RegistryStore(server.uri).find(name) is None


def test_other_data_than_the_champions_are_refused(delivered: Deliver, name: str) -> None:
    promote(delivered().sweep, None, Request(name, first=True))
    promotion = promote(delivered(data={"name": "digits", "seed": 7}, **BETTER).sweep, None, Request(name))
    assert promotion.verdict is Verdict.REFUSED
    assert outcomes(promotion)["same data"] == "failed"
    assert "other data" in gate(promotion, "champion").sentence


def test_a_sweep_without_test_samples_is_refused_and_told_what_to_do(delivered: Deliver, name: str) -> None:
    promotion = promote(delivered(data={"name": "digits", "n_test": 0}).sweep, None, Request(name, first=True))
    assert promotion.verdict is Verdict.REFUSED
    assert "data.n_test" in gate(promotion, "test metrics").sentence
    assert outcomes(promotion)["diagnosis"] == "passed"


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(
    delivered: Deliver, server: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [delivered(), delivered(**OTHER_SEED)]
    both_have_judged, one_exports, save = threading.Barrier(2), threading.Lock(), Package.save

    def save_alone(*given: Any) -> None:
        with one_exports:  # torch traces one model at a time in a process; promotions have a process each
            save(*given)

    def judge_and_wait(*given: Any, **named: Any) -> Any:
        gates = judge(*given, **named)
        both_have_judged.wait(60)
        return gates

    monkeypatch.setattr(Package, "save", save_alone)
    monkeypatch.setattr("sweeps.registry.promote.judge", judge_and_wait)
    ends: list[Any] = []

    def run(result: SweepResult) -> None:
        try:
            ends.append(promote(result.sweep, None, Request(name, first=True)))
        except PromotionConflict as conflict:
            ends.append(conflict)

    threads = [threading.Thread(target=run, args=(result,)) for result in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    (winner,) = [end for end in ends if isinstance(end, Promotion)]
    (told,) = [end for end in ends if isinstance(end, PromotionConflict)]
    assert "promote again" in str(told)
    store = RegistryStore(server.uri)
    assert champion(store, name) == winner.version == "1"
    assert store.version(name, "1").tags["sweeps.sweep"] == winner.sweep
    assert store.version(name, "2") is None
    assert not store.find_all(f"{name}.champion.lock")


def test_a_sweep_that_mlflow_has_not_got_is_to_be_delivered_first(
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


@pytest.mark.parametrize(
    "request_", [Request("a/b"), Request("it's"), Request("m", alias="latest"), Request("m", "v3")]
)
def test_names_that_mlflow_does_not_take_are_refused_at_once(request_: Request) -> None:
    with pytest.raises(InputError, match="must be up to"):
        promote("no-such-sweep", None, request_)


def test_going_back_or_looking_back_where_nothing_is_registered_says_so(server: Any) -> None:
    store = RegistryStore(server.uri)
    with pytest.raises(UnknownModel, match="no model 'nothing' is registered"):
        rollback(store, "nothing", "champion")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_registry_that_fails_between_its_calls_leaves_the_alias_as_before_or_after(
    delivered: Deliver, server: Any, name: str, faulty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, challenger = delivered(), delivered(**BETTER)
    store, client = RegistryStore(server.uri), MlflowClient(server.uri)
    promote(first.sweep, None, Request(name, first=True))
    judged: dict[str, Any] = {}

    def judge_once(contest: Any, model: Any, network: Any, champion: Any, *given: Any, **named: Any) -> Any:
        """The same challenger against the same champion, dozens of times: no request depends on the second judging."""
        if champion.version not in judged:
            judged[champion.version] = judge(contest, model, network, champion, *given, **named)
        return list(judged[champion.version])

    monkeypatch.setattr("sweeps.registry.promote.judge", judge_once)
    with faulty(server.uri) as (address, fault):
        monkeypatch.setattr("sweeps.registry.promote._store_of", lambda _: address)

        def attempt(alias: str) -> Promotion | None:
            try:
                return promote(challenger.sweep, None, Request(name, alias))
            except (TrackingError, PromotionConflict):
                return None

        def forget_logged_models() -> None:
            for model in client.search_logged_models([challenger.record.experiment_id]):
                client.delete_logged_model(model.model_id)

        store.set_alias(name, "whole", "1")
        assert attempt("whole") is not None
        requests = list(fault.asked)
        for number, asked in enumerate(requests, start=1):
            # A request that changes something may also have arrived, though its answer did not.
            for reaches in (False, True) if not asked.startswith("GET") else (False,):
                alias = f"alias-{number}-{reaches}".lower()
                store.set_alias(name, alias, "1")
                if number <= requests.index("POST /api/2.0/mlflow/registered-models/create"):
                    forget_logged_models()
                fault.request, fault.reaches, fault.asked = number, reaches, []
                ended = attempt(alias)
                held = store.find(name).aliases[alias]
                if held != "1":  # as after: a version that was judged, by a promotion that may not know of it
                    assert json.loads(store.version(name, held).tags["sweeps.gates"])
                assert ended is None or ended.version == held, asked
                fault.request = None
                again = attempt(alias)
                assert again is not None, (asked, reaches)
                assert again.verdict in (Verdict.PROMOTED, Verdict.ALREADY), (asked, reaches)
                assert store.find(name).aliases[alias] == again.version != "1"
                assert [step.version for step in moves(store.find(name), alias)] == ["1", again.version]
        changes = [asked for asked in requests if not asked.startswith("GET")]
        assert [asked.rpartition("/mlflow/")[2] for asked in changes[-5:]] == LAST_STEPS


def gate(promotion: Promotion, name: str) -> Any:
    return next(gate for gate in promotion.gates if gate.name == name)


def champion(store: RegistryStore, name: str) -> str | None:
    return store.find(name).aliases.get("champion")
