"""Quotes and what their sweeps took, kept on this host: the next quote is corrected by how wrong earlier ones were.

Quotes of another cluster (RAY_ADDRESS) do not count: each cluster, and this machine without one, has its own.

`quotes/` in the local folder has the latest quote of each config, and one file with a line for each sweep that ended
after it was quoted.
"""

import json
import math
import os
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median

from sweeps.config import SweepConfig
from sweeps.storage import atomic_write
from sweeps.storage.layout import home
from sweeps.storage.private_files import make_folder, open_file

N_RATIOS = 20
# The correction counts as many exact quotes before the first real one, so that one odd sweep changes little.
N_PRIOR = 2
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


@dataclass(frozen=True)
class StoredQuote:
    """A quote of a config on a host and cluster: the predicted seconds of the whole sweep, also before correction."""

    host: str
    cluster: str
    seconds: float
    uncorrected_seconds: float
    made: float


def save_quote(config: SweepConfig, seconds: float, uncorrected_seconds: float) -> None:
    """Keep the quote of a config, in place of an earlier one."""
    quote = StoredQuote(platform.node(), _cluster(), seconds, uncorrected_seconds, time.time())
    make_folder(_folder())
    atomic_write.write(_path(config), json.dumps(asdict(quote)).encode())


def find_quote(config: SweepConfig) -> StoredQuote | None:
    """Return the latest quote of a config on this host and cluster; None if there is none, or it cannot be read."""
    try:
        quote = StoredQuote(**json.loads(_path(config).read_bytes()))
        is_here = (quote.host, quote.cluster) == (platform.node(), _cluster())
        is_valid = is_here and min(quote.seconds, quote.uncorrected_seconds) > 0
        return quote if is_valid else None
    except (OSError, ValueError, TypeError):
        return None


def record_actual(quote: StoredQuote, seconds: float) -> None:
    """Record what a quoted sweep took; on a full disk it is not recorded."""
    where = {"host": quote.host, "cluster": quote.cluster}
    line = json.dumps({**where, "quoted": quote.uncorrected_seconds, "took": seconds})
    with suppress(OSError), os.fdopen(open_file(_folder() / "actual.jsonl", _APPEND), "w") as file:
        file.write(f"{line}\n")


def recorded_ratios() -> list[float]:
    """Return the actual time divided by the uncorrected quote, for each quoted sweep of this host and cluster."""
    ratios = []
    try:
        lines = (_folder() / "actual.jsonl").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, ZeroDivisionError):
            entry = json.loads(line)
            ratio = entry["took"] / entry["quoted"]
            is_here = (entry["host"], entry["cluster"]) == (platform.node(), _cluster())
            if is_here and 0 < ratio < math.inf:
                ratios.append(ratio)
    return ratios


def correction(ratios: Sequence[float]) -> float:
    """Return the factor for the next quote: the median of the last twenty log ratios, shrunk towards a factor of 1.

    n ratios count n / (n + 2): exp(n / (n + 2) * median(log ratios)).
    """
    last = [math.log(ratio) for ratio in ratios[-N_RATIOS:]]
    return math.exp(len(last) / (len(last) + N_PRIOR) * median(last)) if last else 1.0


def _cluster() -> str:
    return os.environ.get("RAY_ADDRESS") or "local"


def _folder() -> Path:
    return home() / "quotes"


def _path(config: SweepConfig) -> Path:
    digest = sha256(json.dumps(config.to_dict(), sort_keys=True).encode()).hexdigest()
    return _folder() / f"{digest}.json"
