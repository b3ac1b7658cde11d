"""What a person sees of a sweep's submission: by whom, and from which commit."""

from collections.abc import Mapping
from typing import Any


def submission_line(submitted: Mapping[str, Any] | None) -> str | None:
    """Return by whom a sweep was submitted, how that is known, and from which commit; None if it is not recorded."""
    if submitted is None:
        return None
    commit = submitted["commit"]
    changed = ", with uncommitted changes" if submitted["dirty"] else ""
    place = f", from commit {commit[:12]}{changed}" if commit else ""
    return f"submitted by {submitted['by']} ({submitted['source']}){place}"
