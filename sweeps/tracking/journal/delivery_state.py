"""What MLflow has of the journal: which entries are delivered, undelivered or refused, and to which store and runs."""

from collections.abc import Iterable

from sweeps.tracking.journal.database import ENTRY_COLUMNS, SharedConnection
from sweeps.tracking.journal.entry_parsing import parse_entry
from sweeps.tracking.journal.records import Delivered, Entry

_NO_BOUND = 2**62
_SHIPPED_THROUGH = """
    SELECT coalesce(min(entry_id) - 1, (SELECT coalesce(max(entry_id), 0) FROM entries))
    FROM entries WHERE delivery <> 'shipped'
"""


class DeliveryState:
    """The delivery state of the journal's entries. Safe to use from several threads."""

    def __init__(self, connection: SharedConnection) -> None:
        self._connection = connection
        self._n_refused: int | None = None

    def undelivered(self, limit: int, *, figures: bool | None = None) -> list[Entry]:
        """Return the oldest undelivered entries in order, at most `limit`.

        `figures` selects figures only (True) or everything else (False). If entries are copied to the sweep's folder,
        only copied ones are returned: a journal that is rebuilt from there then has all that MLflow has.
        """
        which = {None: "", True: "AND kind = 'figure'", False: "AND kind <> 'figure'"}[figures]
        ready = f"delivery = 'pending' AND entry_id <= ? {which}"
        query = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE {ready} ORDER BY entry_id LIMIT ?"  # noqa: S608
        through = self.committed()
        rows = self._connection.query(query, (_NO_BOUND if through is None else through, limit))
        return [parse_entry(row, self._connection.path) for row in rows]

    def n_undelivered(self) -> int:
        """Count the undelivered entries."""
        ((count,),) = self._connection.query("SELECT count(*) FROM entries WHERE delivery = 'pending'")
        return int(count)

    def mark_delivered(self, entry_ids: Iterable[int]) -> None:
        """Mark these entries as delivered."""
        self._mark("UPDATE entries SET delivery = 'shipped', refusal = NULL WHERE entry_id = ?", entry_ids)

    def mark_refused(self, entry_ids: Iterable[int], refusal: str) -> None:
        """Mark these entries as refused by MLflow for good, with the reason in one line; they block no others."""
        self._mark("UPDATE entries SET delivery = 'refused', refusal = ? WHERE entry_id = ?", entry_ids, refusal)
        self._n_refused = None

    def refusals(self) -> list[tuple[int, str]]:
        """Return the ids of the refused entries with the reasons."""
        query = "SELECT entry_id, refusal FROM entries WHERE delivery = 'refused' ORDER BY entry_id"
        return self._connection.query(query)

    def n_refused(self) -> int:
        """Count the refused entries; only what this object refuses changes the count, because counting reads all."""
        if self._n_refused is None:
            ((count,),) = self._connection.query("SELECT count(*) FROM entries WHERE delivery = 'refused'")
            self._n_refused = int(count)
        return self._n_refused

    def deliver_to(self, store: str) -> None:
        """Set the store to deliver to. A new store gets all entries, in new runs."""
        with self._connection.transaction() as transaction:
            if self.store() == store:
                return
            for statement in ("DELETE FROM store", "DELETE FROM runs", "UPDATE entries SET delivery = 'pending'"):
                transaction.execute(statement)
            transaction.execute("INSERT INTO store (uri) VALUES (?)", (store,))

    def store(self) -> str | None:
        """Return the URI, without credentials, of the store delivered to; None before the first delivery."""
        return next((uri for (uri,) in self._connection.query("SELECT uri FROM store")), None)

    def committed(self) -> int | None:
        """Return the id of the last entry copied to the sweep's folder; None if entries are not copied."""
        return next((int(through) for (through,) in self._connection.query("SELECT through FROM committed")), None)

    def set_committed(self, through: int) -> None:
        """Record the id of the last entry copied to the sweep's folder."""
        with self._connection.transaction() as transaction:
            transaction.execute("DELETE FROM committed")
            transaction.execute("INSERT INTO committed VALUES (?)", (through,))

    def delivered(self) -> Delivered | None:
        """Return what MLflow has; None before the first delivery."""
        for uri, experiment_id in self._connection.query("SELECT uri, experiment_id FROM store"):
            ((through,),) = self._connection.query(_SHIPPED_THROUGH)
            return Delivered(uri, experiment_id, through, {point or "": run for point, run in self.run_ids().items()})
        return None

    def restore_delivered(self, delivered: Delivered) -> None:
        """Restore what a lost journal had delivered."""
        with self._connection.transaction() as transaction:
            transaction.execute("INSERT INTO store VALUES (?, ?)", (delivered.store, delivered.experiment_id))
            transaction.executemany("INSERT INTO runs VALUES (?, ?)", delivered.runs.items())
            shipped = "UPDATE entries SET delivery = 'shipped' WHERE entry_id <= ?"
            transaction.execute(shipped, (delivered.through,))

    def experiment_id(self) -> str | None:
        """Return the id of the MLflow experiment; None before it is known."""
        rows = self._connection.query("SELECT experiment_id FROM store")
        return next((experiment_id for (experiment_id,) in rows), None)

    def set_experiment_id(self, experiment_id: str) -> None:
        """Record the id of the MLflow experiment."""
        self._connection.execute("UPDATE store SET experiment_id = ?", (experiment_id,))

    def set_run_id(self, point_id: str | None, run_id: str) -> None:
        """Record the MLflow run of a point, or with None of the sweep itself (the parent run)."""
        self._connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (point_id or "", run_id))

    def run_ids(self) -> dict[str | None, str]:
        """Return the MLflow run ids by point; the parent run's under None."""
        rows = self._connection.query("SELECT point_id, run_id FROM runs")
        return {point_id or None: run_id for point_id, run_id in rows}

    def _mark(self, statement: str, entry_ids: Iterable[int], *values: str) -> None:
        with self._connection.transaction() as transaction:
            transaction.executemany(statement, [(*values, entry_id) for entry_id in entry_ids])
