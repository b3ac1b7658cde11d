"""What has become of the journal's entries: which MLflow has yet to get, and in which store and runs the others are."""

from collections.abc import Iterable

from sweeps.tracking.journal.database import ENTRY_COLUMNS, SharedConnection
from sweeps.tracking.journal.records import Delivered, Entry, parse_entry

_EVERY = 2**62
_SHIPPED_THROUGH = """
    SELECT coalesce(min(entry_id) - 1, (SELECT coalesce(max(entry_id), 0) FROM entries))
    FROM entries WHERE delivery <> 'shipped'
"""


class DeliveryState:
    """The queue of what MLflow has yet to get, and the marks of what it has. Safe to use from several threads."""

    def __init__(self, connection: SharedConnection) -> None:
        self._connection = connection

    def undelivered(self, limit: int, *, figures: bool | None = None) -> list[Entry]:
        """Give the oldest entries that MLflow has yet to get, at most `limit`, in order.

        `figures` asks for figures only, or for all but figures. Where entries are copied to the sweep's folder, those
        that are: what MLflow has, a journal that is rebuilt has, too, with the same times.
        """
        which = {None: "", True: "AND kind = 'figure'", False: "AND kind <> 'figure'"}[figures]
        ready = f"delivery = 'pending' AND entry_id <= ? {which}"
        query = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE {ready} ORDER BY entry_id LIMIT ?"  # noqa: S608
        through = self.committed()
        rows = self._connection.query(query, (_EVERY if through is None else through, limit))
        return [parse_entry(row) for row in rows]

    def n_undelivered(self) -> int:
        """Count the entries that MLflow has yet to get."""
        ((count,),) = self._connection.query("SELECT count(*) FROM entries WHERE delivery = 'pending'")
        return int(count)

    def mark_delivered(self, entry_ids: Iterable[int]) -> None:
        """Record that MLflow has these entries."""
        self._mark("UPDATE entries SET delivery = 'shipped', refusal = NULL WHERE entry_id = ?", entry_ids)

    def mark_refused(self, entry_ids: Iterable[int], refusal: str) -> None:
        """Record that MLflow will never take these entries, and why in one line, so that they hold up no others."""
        self._mark("UPDATE entries SET delivery = 'refused', refusal = ? WHERE entry_id = ?", entry_ids, refusal)

    def refusals(self) -> list[tuple[int, str]]:
        """Give the entries that MLflow will never take, with the reason."""
        query = "SELECT entry_id, refusal FROM entries WHERE delivery = 'refused' ORDER BY entry_id"
        return self._connection.query(query)

    def deliver_to(self, store: str) -> None:
        """Name the store that gets the entries. Another one than before gets all of them, into runs of its own."""
        with self._connection.transaction() as transaction:
            if self.store() == store:
                return
            for statement in ("DELETE FROM store", "DELETE FROM runs", "UPDATE entries SET delivery = 'pending'"):
                transaction.execute(statement)
            transaction.execute("INSERT INTO store (uri) VALUES (?)", (store,))

    def store(self) -> str | None:
        """Give the URI, without credentials, of the store that gets the entries; None before delivery has begun."""
        return next((uri for (uri,) in self._connection.query("SELECT uri FROM store")), None)

    def committed(self) -> int | None:
        """Give the id through which the sweep's folder has the entries; None where they are not copied there."""
        return next((int(through) for (through,) in self._connection.query("SELECT through FROM committed")), None)

    def set_committed(self, through: int) -> None:
        """Record through which id the sweep's folder has the entries."""
        with self._connection.transaction() as transaction:
            transaction.execute("DELETE FROM committed")
            transaction.execute("INSERT INTO committed VALUES (?)", (through,))

    def delivered(self) -> Delivered | None:
        """Give what MLflow has; None before delivery has begun."""
        for uri, experiment_id in self._connection.query("SELECT uri, experiment_id FROM store"):
            ((through,),) = self._connection.query(_SHIPPED_THROUGH)
            return Delivered(uri, experiment_id, through, {point or "": run for point, run in self.run_ids().items()})
        return None

    def set_delivered(self, delivered: Delivered) -> None:
        """Take up what is known of a delivery by a journal that is lost."""
        with self._connection.transaction() as transaction:
            transaction.execute("INSERT INTO store VALUES (?, ?)", (delivered.store, delivered.experiment_id))
            transaction.executemany("INSERT INTO runs VALUES (?, ?)", delivered.runs.items())
            shipped = "UPDATE entries SET delivery = 'shipped' WHERE entry_id <= ?"
            transaction.execute(shipped, (delivered.through,))

    def experiment_id(self) -> str | None:
        """Give the experiment of the store that the runs are in; None before it is known."""
        rows = self._connection.query("SELECT experiment_id FROM store")
        return next((experiment_id for (experiment_id,) in rows), None)

    def set_experiment_id(self, experiment_id: str) -> None:
        """Record which experiment of the store the runs are in."""
        self._connection.execute("UPDATE store SET experiment_id = ?", (experiment_id,))

    def set_run_id(self, point_id: str | None, run_id: str) -> None:
        """Record which MLflow run is a point's; None: the parent run."""
        self._connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (point_id or "", run_id))

    def run_ids(self) -> dict[str | None, str]:
        """Give the MLflow run of each point that has one; the parent's under None."""
        rows = self._connection.query("SELECT point_id, run_id FROM runs")
        return {point_id or None: run_id for point_id, run_id in rows}

    def _mark(self, statement: str, entry_ids: Iterable[int], *values: str) -> None:
        with self._connection.transaction() as transaction:
            transaction.executemany(statement, [(*values, entry_id) for entry_id in entry_ids])
