"""A running sweep, followed from another process until its end; it is only read."""

import sys
import time
from collections.abc import Iterator

from rich.live import Live

from sweeps.cli.display.announcements import Announcements
from sweeps.cli.display.console import open_console
from sweeps.cli.display.live import LiveView
from sweeps.cli.display.progress_log import counts
from sweeps.cli.printable import echo
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import is_owned
from sweeps.tracking.journal.records import SweepState
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.journal_progress import JournalProgress
from sweeps.tracking.progress import Progress

SECONDS_BETWEEN_LOOKS = 1.0


def watch_sweep(folder: SweepFolder) -> None:
    """Show a sweep until it has ended: redrawn in place on a terminal, else a line for each change."""
    console = open_console(highlight=False)
    if not sys.stdout.isatty() or console.is_dumb_terminal:
        _print_changes(folder)
        return
    view: LiveView | None = None
    with Live(console=console, auto_refresh=False, transient=True) as live:
        for progress in _updates(folder):
            if view is None:
                view = LiveView()
                view.watch(progress)
            view.announce(console, only_failures=True)
            live.update(view, refresh=True)


def _print_changes(folder: SweepFolder) -> None:
    announcements: Announcements | None = None
    last = ""
    for progress in _updates(folder):
        announcements = announcements or Announcements(progress)
        for announced in announcements.new():
            if announced.is_failure:
                echo(announced.text)
        if (line := counts(progress)) != last:
            echo(line)
            sys.stdout.flush()
        last = line


def _updates(folder: SweepFolder) -> Iterator[Progress]:
    """Yield the counters of a sweep about once a second, the last time after it has ended or lost its process."""
    watched: JournalProgress | None = None
    while True:
        is_running = is_owned(folder)  # before the journal is read: a sweep that ends in between is not lost
        with read_journal(folder) as journal:
            watched = watched or JournalProgress(journal)
            watched.update(journal)
            is_running = is_running and journal.sweep().state is SweepState.RUNNING
        yield watched.progress
        if not is_running:
            return
        time.sleep(SECONDS_BETWEEN_LOOKS)
