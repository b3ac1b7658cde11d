"""The command line: the table of commands, each a function in `sweeps.cli.commands`."""

import typer

from sweeps import gc_tuning
from sweeps.cli.commands import inspect, registry, run, submit, sweep_files, tracking
from sweeps.cli.options import fail
from sweeps.cli.typed_command import RecordingGroup
from sweeps.errors import InputError, StorageError, SweepError

app = typer.Typer(
    cls=RecordingGroup,
    name="sweeps",
    help="Hyperparameter sweeps for autoencoders on a Ray cluster, recorded in MLflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(run.run)
app.command()(submit.submit)
app.command()(submit.logs)
app.command()(run.stop)
app.command()(run.resume)
app.command()(run.extend)
app.command()(run.delete)
app.command(name="list")(inspect.list_sweeps)
app.command()(inspect.status)
app.command()(inspect.best)
app.command()(inspect.diagnose)
app.command()(inspect.evaluate)
app.command()(run.reproduce)
app.command()(registry.promote)
app.command()(registry.rollback)
app.command()(registry.history)
app.command()(registry.score)
app.command()(tracking.sync)
app.command()(sweep_files.recipes)
app.command()(sweep_files.show)
app.command()(sweep_files.validate)
app.command()(sweep_files.explain)
app.command()(sweep_files.schema)
app.command()(tracking.ui)


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
