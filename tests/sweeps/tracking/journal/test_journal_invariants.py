"""The journal against a model of it in plain dicts, over any sequence of calls, closings and openings."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord

POINTS = st.sampled_from(["a", "b", "c"])
EPOCHS = st.integers(0, 5)
METRICS = st.dictionaries(st.sampled_from(["train/loss", "valid/mse"]), st.floats(allow_nan=False), min_size=1)


class JournalMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.db"
        self.journal = Journal.create(self.path, SweepRecord("s", "n", "e", {}, 0))
        self.states: dict[str, PointState] = {}
        self.epochs: dict[tuple[str, int], dict[str, float]] = {}
        self.n_entries = 1
        self.delivered: set[int] = set()

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()

    @rule(point_id=POINTS)
    def start(self, point_id: str) -> None:
        record = PointRecord(point_id=point_id, index=0, point={}, run_name=point_id, start_ms=1)
        is_new = self.journal.start_point(record)
        assert is_new == (point_id not in self.states)
        self.n_entries += is_new
        self.states.setdefault(point_id, PointState.RUNNING)

    @rule(point_id=POINTS, epoch=EPOCHS, metrics=METRICS)
    def record_epoch(self, point_id: str, epoch: int, metrics: dict[str, float]) -> None:
        is_new = self.journal.record_epoch(point_id, epoch, metrics, 2)
        assert is_new == ((point_id, epoch) not in self.epochs)
        self.n_entries += is_new
        self.epochs.setdefault((point_id, epoch), metrics)

    @precondition(lambda self: self.states)
    @rule(data=st.data(), state=st.sampled_from([PointState.FINISHED, PointState.FAILED, PointState.KILLED]))
    def end(self, data: st.DataObject, state: PointState) -> None:
        point_id = data.draw(st.sampled_from(sorted(self.states)))
        self.journal.end_point(point_id, PointEnd(state), 3)
        self.states[point_id] = state
        self.n_entries += 1

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        point_id = data.draw(st.sampled_from(sorted(self.states)))
        self.journal.retry_point(point_id, "lost", 4)
        self.states[point_id] = PointState.RUNNING
        self.n_entries += 1

    @rule(limit=st.integers(1, 4), every=st.integers(1, 2))
    def deliver(self, limit: int, every: int) -> None:
        taken = [entry.entry_id for entry in self.journal.delivery.undelivered(limit)][::every]
        self.journal.delivery.mark_delivered(taken)
        assert self.delivered.isdisjoint(taken)
        self.delivered |= set(taken)

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = Journal.open(self.path)

    @invariant()
    def undelivered_entries_come_in_order(self) -> None:
        entry_ids = [entry.entry_id for entry in self.journal.delivery.undelivered(1000)]
        assert entry_ids == sorted(entry_ids)
        assert self.delivered.isdisjoint(entry_ids)
        assert len(entry_ids) == self.journal.delivery.n_undelivered() == self.n_entries - len(self.delivered)

    @invariant()
    def history_holds_each_epoch_once_with_its_first_metrics(self) -> None:
        for point_id in ("a", "b", "c"):
            expected = sorted((epoch, metrics) for (owner, epoch), metrics in self.epochs.items() if owner == point_id)
            assert self.journal.history(point_id) == expected

    @invariant()
    def points_have_their_last_state(self) -> None:
        assert {record.point_id: record.state for record in self.journal.points()} == self.states


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
