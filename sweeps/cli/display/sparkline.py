"""A curve as a line of characters."""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

BLOCKS, ASCII = "▁▂▃▄▅▆▇█", "_.-~=+*#"
# Values that span more than this factor are drawn on a logarithmic scale, or all but the first would look alike.
_LOGARITHMIC_SPAN = 10.0


def sparkline(values: Sequence[float], width: int, characters: str = BLOCKS) -> str:
    """Return finite values as `width` characters at most, from the lowest to the highest character.

    Of more values than that, each character shows the mean of its share.
    """
    if not values or width < 1:
        return ""
    n_shown = min(width, len(values))
    bounds = [index * len(values) // n_shown for index in range(n_shown + 1)]
    shown = [fmean(values[start:end]) for start, end in pairwise(bounds)]
    if min(shown) > 0 and max(shown) > _LOGARITHMIC_SPAN * min(shown):
        shown = [math.log(value) for value in shown]
    low, high = min(shown), max(shown)
    if high == low:
        return characters[0] * n_shown
    return "".join(characters[round((value - low) / (high - low) * (len(characters) - 1))] for value in shown)
