"""The progress of delivery to MLflow, in one line for the live view."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class DeliveryProgress:
    """Records that MLflow has, that wait, and that it refused for good.

    `error` is why delivery fails now, and `failing_since` when it began to, in seconds since 1970; None if it works.
    """

    n_delivered: int
    n_waiting: int
    n_refused: int = 0
    error: str | None = None
    failing_since: float | None = None

    def __str__(self) -> str:
        refused = f", {self.n_refused} refused" if self.n_refused else ""
        if self.error is None or self.failing_since is None:
            waiting = f", {self.n_waiting} waiting" if self.n_waiting else ""
            return f"MLflow: {self.n_delivered} records delivered{waiting}{refused}"
        since = datetime.fromtimestamp(self.failing_since).astimezone().strftime("%H:%M:%S")
        waiting = f"{self.n_waiting} records waiting, nothing lost{refused}"
        return f"MLflow: unreachable since {since}, {waiting} ({' '.join(self.error.split())})"
