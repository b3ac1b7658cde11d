"""The command line: the table of commands, each a function in `sweeps.cli.commands`, and examples for its help."""

import errno
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from sweeps import gc_tuning
from sweeps.cli.commands import (
    compare,
    confirm,
    inspect,
    plugins,
    quote,
    registry,
    report,
    run,
    submit,
    sweep_files,
    tracking,
)
from sweeps.cli.options import fail
from sweeps.cli.typed_command import RecordingGroup
from sweeps.cli.version import print_version
from sweeps.errors import InputError, StorageError, SweepError

app = typer.Typer(
    cls=RecordingGroup,
    name="sweeps",
    help="Hyperparameter sweeps for autoencoders on a Ray cluster, recorded in MLflow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the versions in use and exit."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def _add(command: Callable[..., Any], *examples: str, name: str | None = None) -> None:
    """Add a command, named as its function by default, with examples at the end of its help."""
    heading = "Example:" if len(examples) == 1 else "Examples:"
    app.command(name=name, epilog="\n".join([heading, *(f"  {line}" for line in examples)]))(command)


_add(run.run, "sweeps run quickstart", "sweeps run mine.yaml --set budget.trials=4 --set training.epochs=5")
_add(quote.quote, "sweeps quote quickstart", "sweeps quote mine.yaml --set budget.trials=64")
_add(submit.submit, "sweeps submit mine.yaml --address http://head:8265")
_add(submit.logs, "sweeps logs -f latest")
_add(run.stop, "sweeps stop latest")
_add(run.resume, "sweeps resume latest")
_add(run.extend, "sweeps extend quickstart --trials 16")
_add(confirm.confirm, "sweeps confirm latest", "sweeps confirm quickstart --top 5 --seeds 10")
_add(run.delete, "sweeps delete quickstart-20261130-112751-2102 --runs")
_add(inspect.list_sweeps, "sweeps list", "sweeps list --csv > sweeps.csv", name="list")
_add(inspect.status, "sweeps status latest", "sweeps status latest --watch")
_add(
    inspect.best,
    "sweeps best latest",
    "sweeps best quickstart --top 3        # the newest sweep named quickstart",
    "sweeps best latest --csv > trials.csv",
    "sweeps best latest --markdown > ranking.md",
)
_add(compare.compare, "sweeps compare quickstart mnist-shallow", "sweeps compare latest quickstart-20261130")
_add(inspect.diagnose, "sweeps diagnose latest           # its best trial", "sweeps diagnose latest/0007")
_add(report.report, "sweeps report latest", "sweeps report quickstart -o quickstart.html")
_add(inspect.evaluate, "sweeps evaluate latest", "sweeps evaluate quickstart --trial 7")
_add(run.reproduce, "sweeps reproduce mnist-sda", "sweeps reproduce --judge --markdown")
_add(
    registry.promote,
    "sweeps promote latest --model digits --first",
    "sweeps promote latest/0007 --model digits --dry-run",
)
_add(registry.rollback, "sweeps rollback digits")
_add(registry.history, "sweeps history digits", "sweeps history digits --verify")
_add(registry.score, "sweeps score digits@champion samples.npy scores.npz")
_add(tracking.sync, "sweeps sync latest")
_add(sweep_files.recipes, "sweeps recipes")
_add(sweep_files.show, "sweeps show quickstart > mine.yaml")
_add(sweep_files.validate, "sweeps validate mine.yaml", "sweeps validate mine.yaml --data")
_add(
    sweep_files.explain,
    "sweeps explain",
    "sweeps explain model.noise",
    "sweeps explain model mine.yaml        # only the kind or plug-in of the file",
)
_add(sweep_files.schema, "sweeps schema > sweep.schema.json")
_add(
    plugins.check_plugin,
    "sweeps check-plugin my_package.networks:MyNetwork",
    "sweeps check-plugin my_networks:MyNetwork --set channels=8 --shape 8,8",
)
_add(tracking.ui, "sweeps ui", "sweeps ui latest --port 5001")


def main() -> None:
    """Run the command line; print one line for each mistake in the input, never a traceback."""
    gc_tuning.collect_seldom()
    try:
        _run()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python fails again when it flushes standard output
        fail((f"no space to write {error.filename or 'the output'}: free some, and run the command again",), status=1)
    finally:
        gc_tuning.skip_last_collection()


def _run() -> None:
    try:
        app()
    except StorageError as error:
        fail(error.issues, status=1 if error.passes else 2)  # 1: the same command may succeed later
    except InputError as error:
        fail(error.issues, status=2)
    except SweepError as error:
        fail((str(error),), status=1)
