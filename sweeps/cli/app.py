"""The command line: the table of commands, each a function in `sweeps.cli.commands`."""

from typing import Annotated

import typer

from sweeps import gc_tuning
from sweeps.cli.commands import inspect, registry, run, submit, sweep_files, tracking
from sweeps.cli.examples import examples
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


app.command(epilog=examples("run"))(run.run)
app.command(epilog=examples("submit"))(submit.submit)
app.command(epilog=examples("logs"))(submit.logs)
app.command(epilog=examples("stop"))(run.stop)
app.command(epilog=examples("resume"))(run.resume)
app.command(epilog=examples("extend"))(run.extend)
app.command(epilog=examples("delete"))(run.delete)
app.command(name="list", epilog=examples("list"))(inspect.list_sweeps)
app.command(epilog=examples("status"))(inspect.status)
app.command(epilog=examples("best"))(inspect.best)
app.command(epilog=examples("diagnose"))(inspect.diagnose)
app.command(epilog=examples("evaluate"))(inspect.evaluate)
app.command(epilog=examples("reproduce"))(run.reproduce)
app.command(epilog=examples("promote"))(registry.promote)
app.command(epilog=examples("rollback"))(registry.rollback)
app.command(epilog=examples("history"))(registry.history)
app.command(epilog=examples("score"))(registry.score)
app.command(epilog=examples("sync"))(tracking.sync)
app.command(epilog=examples("recipes"))(sweep_files.recipes)
app.command(epilog=examples("show"))(sweep_files.show)
app.command(epilog=examples("validate"))(sweep_files.validate)
app.command(epilog=examples("explain"))(sweep_files.explain)
app.command(epilog=examples("schema"))(sweep_files.schema)
app.command(epilog=examples("ui"))(tracking.ui)


def main() -> None:
    """Run the command line; print one line for each mistake in the input, never a traceback."""
    gc_tuning.collect_seldom()
    try:
        app()
    except StorageError as error:
        fail(error.issues, status=1 if error.passes else 2)  # 1: the same command may succeed later
    except InputError as error:
        fail(error.issues, status=2)
    except SweepError as error:
        fail((str(error),), status=1)
    finally:
        gc_tuning.skip_last_collection()
