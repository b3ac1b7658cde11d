"""What a sweep took beside what was quoted for it."""

from sweeps.tracking.results import SweepResult
from sweeps.tracking.short_text import duration


def quoted_line(result: SweepResult) -> str | None:
    """Return what `sweeps quote` predicted for a sweep and what it took; None without both."""
    if result.quoted_seconds is None or result.seconds is None:
        return None
    return f"quoted {duration(result.quoted_seconds)}, took {duration(result.seconds)}"
