"""Durations as a person reads them, and what a sweep took beside what was quoted for it."""

from sweeps.tracking.results import SweepResult


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: 8.3 s, 4 min 10 s, 3 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def quoted_line(result: SweepResult) -> str | None:
    """Return what `sweeps quote` predicted for a sweep and what it took; None without both."""
    if result.quoted_seconds is None or result.seconds is None:
        return None
    return f"quoted {duration(result.quoted_seconds)}, took {duration(result.seconds)}"
