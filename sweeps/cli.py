"""The command line: the table of commands, each a function of `sweeps.commands`."""

import typer

from sweeps import collector
from sweeps.commands import files, looking, promotion, running, submitted, tracking
from sweeps.commands.terminal import fail
from sweeps.errors import InputError, StorageError, SweepError

app = typer.Typer(
    name="sweeps",
    help="Hyperparameter sweeps for autoencoders on a Ray cluster, recorded in MLflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(running.run)
app.command()(submitted.submit)
app.command()(submitted.logs)
app.command()(running.stop)
app.command()(running.resume)
app.command()(running.extend)
app.command()(running.delete)
app.command(name="list")(looking.list_sweeps)
app.command()(looking.status)
app.command()(looking.best)
app.command()(looking.diagnose)
app.command()(looking.evaluate)
app.command()(running.reproduce)
app.command()(promotion.promote)
app.command()(promotion.rollback)
app.command()(promotion.history)
app.command()(promotion.score)
app.command()(tracking.sync)
app.command()(files.recipes)
app.command()(files.show)
app.command()(files.validate)
app.command()(files.schema)
app.command()(tracking.ui)


def main() -> None:
    """Run the command line; a mistake of the caller is told in a line for each fault, never in a traceback."""
    collector.collect_seldom()
    try:
        app()
    except StorageError as error:
        fail(error.faults, status=1 if error.passes else 2)  # 1: another start may come further
    except InputError as error:
        fail(error.faults, status=2)
    except SweepError as error:
        fail((str(error),), status=1)
    finally:
        collector.leave_all()
