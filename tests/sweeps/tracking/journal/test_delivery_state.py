"""Which entries are delivered, undelivered and refused."""

from pathlib import Path

import pytest

from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import EntryKind, FigureRecord, SweepRecord


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path / "journal.db", SweepRecord("s", "quickstart", "e", {}, start_ms=5))


def test_refused_entries_block_no_others(journal: Journal) -> None:
    journal.record_epoch("p", 1, {"valid/mse": 0.5}, 7)
    first, second = journal.delivery.undelivered(10)
    journal.delivery.mark_refused([first.entry_id], "too long")
    assert [entry.entry_id for entry in journal.delivery.undelivered(10)] == [second.entry_id]
    assert journal.delivery.refusals() == [(first.entry_id, "too long")]


def test_figures_can_be_selected(journal: Journal) -> None:
    journal.record_figure("p", FigureRecord("filters/epoch-0004.png", "filters", "points/p/snapshot.npz"), 7)
    assert [entry.kind for entry in journal.delivery.undelivered(10, figures=True)] == [EntryKind.FIGURE]
    assert [entry.kind for entry in journal.delivery.undelivered(10, figures=False)] == [EntryKind.SWEEP_START]


def test_a_new_store_gets_all_entries(journal: Journal) -> None:
    journal.delivery.deliver_to("http://first")
    journal.delivery.set_run_id("p", "r1")
    journal.delivery.mark_delivered([entry.entry_id for entry in journal.delivery.undelivered(10)])
    journal.delivery.deliver_to("http://second")
    assert journal.delivery.n_undelivered() == 1
    assert journal.delivery.run_ids() == {}


def test_the_same_store_keeps_its_entries(journal: Journal) -> None:
    journal.delivery.deliver_to("http://first")
    journal.delivery.set_experiment_id("4")
    journal.delivery.set_run_id(None, "r0")
    journal.delivery.mark_delivered([entry.entry_id for entry in journal.delivery.undelivered(10)])
    journal.delivery.deliver_to("http://first")
    assert journal.delivery.n_undelivered() == 0
    assert (journal.sweep().experiment_id, journal.sweep().run_id) == ("4", "r0")
