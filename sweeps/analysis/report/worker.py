"""The process that writes a sweep's report while the sweep runs: at low priority, each time its driver asks.

`python -m sweeps.analysis.report.worker SWEEP` reads a line for each request, and answers each with a JSON object: the
SHA-256 of the report as written, how many trials had ended, and the share of the first objective's variance that each
setting explains; or under `error` why there is none. It ends when its input does.
"""

import hashlib
import json
import os
import sys
from typing import Any

from sweeps.analysis.report.automatic import REPORT_NAME
from sweeps.analysis.report.source import read_source
from sweeps.analysis.report.write import write_page
from sweeps.storage import layout
from sweeps.storage.layout import SweepFolder
from sweeps.storage.private_files import read_file

MAX_BYTES = 2**26
_NICENESS = 19


def answer(folder: SweepFolder) -> dict[str, Any]:
    """Write the report of a sweep into its folder; return what the driver records, or why it could not be written."""
    try:
        source = read_source(folder)
        written = digest(read_file(write_page(source, folder.path / REPORT_NAME), MAX_BYTES))
        importance = {setting.path: setting.fanova for setting in source.importances[0].settings}
        return {"digest": written, "n_ended": source.result.n_ended, "importance": importance}
    except Exception as error:  # whatever fails, the sweep runs on: its driver logs the reason
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def digest(content: bytes) -> str:
    """Return the SHA-256 of a report."""
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Answer requests until the driver closes the input or ends."""
    os.nice(_NICENESS)
    folder = layout.at(sys.argv[1])
    for _ in sys.stdin:
        print(json.dumps(answer(folder)), flush=True)


if __name__ == "__main__":
    main()
