"""The command line: the table of commands, the commands, and what they show."""

from sweeps.cli.app import main

__all__ = ["main"]
