"""Short texts for a Python prompt: a few lines that fit a screen."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

WIDTH, HEIGHT = 100, 15
_INDENT = "  "


def fitted(lines: Iterable[str], height: int = HEIGHT) -> str:
    """Return lines as a text of at most 100 columns and `height` lines; what does not fit ends with an ellipsis.

    Control characters, which a name in a journal may contain, become spaces.
    """
    shown = [_shortened("".join(c if c.isprintable() else " " for c in line)) for line in lines]
    if len(shown) > height:
        shown = [*shown[: height - 1], f"{_INDENT}..."]
    return "\n".join(shown)


def wrapped(text: str, indent: str = _INDENT, hanging: str = "") -> list[str]:
    """Return a long text as indented lines; `hanging` indents those after the first further."""
    deeper = indent + hanging
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=deeper) or [indent.rstrip()]


def aligned(values: Mapping[str, Any], n_shown: int, indent: str = _INDENT) -> Iterator[str]:
    """Yield a line for each of the first values, in two columns, and a line that says how many follow."""
    shown = dict(list(values.items())[:n_shown])
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        yield f"{indent}{name:{width}}  {number(value)}"
    if n_more := len(values) - len(shown):
        yield f"{indent}and {n_more} more"


def number(value: Any) -> str:
    """Return a float to four digits, any other value as it is written."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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


def _shortened(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
