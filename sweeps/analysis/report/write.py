"""Write the report of a sweep to a file."""

from pathlib import Path

from sweeps.analysis.report.automatic import REPORT_NAME
from sweeps.analysis.report.page import render_page
from sweeps.analysis.report.source import ReportSource, read_source
from sweeps.storage import atomic_write
from sweeps.storage.layout import SweepFolder
from sweeps.storage.object_store import Place


def write_report(folder: SweepFolder, path: Place | None = None) -> Place:
    """Write the report of a sweep atomically, by default into the sweep's folder; return where it is."""
    return write_page(read_source(folder), folder.path / REPORT_NAME if path is None else path)


def write_page(source: ReportSource, target: Place) -> Place:
    """Write the report of what was read of a sweep to `target`, atomically; return `target`."""
    content = render_page(source).encode()
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
    atomic_write.write_or_raise(target, content)
    return target
