"""What a person sees of an audit: each check, and whether all is as recorded."""

from rich.text import Text

from sweeps.cli.display.console import open_console
from sweeps.registry.audit import Audit, CheckOutcome

_STYLES = {CheckOutcome.PASSED: "green", CheckOutcome.FAILED: "red", CheckOutcome.NOTE: "yellow"}


def print_audit(name: str, alias: str, audit: Audit) -> None:
    """Print a line for each check, then which log was read and the conclusion."""
    console = open_console(highlight=False, markup=False)
    for check in audit.checks:
        line = Text(f"{check.outcome:<6}  ", style=_STYLES[check.outcome]).append(
            f"{check.name}: {check.sentence}", style="default"
        )
        console.print(line, soft_wrap=True)
    console.print(Text(f"\nlog of promotions: {audit.location}, {audit.n_entries} entries"), soft_wrap=True)
    console.print(Text(f"{name}@{alias}: {_conclusion(audit)}"), soft_wrap=True)


def _conclusion(audit: Audit) -> str:
    count = {outcome: sum(check.outcome is outcome for check in audit.checks) for outcome in CheckOutcome}
    notes = f", {count[CheckOutcome.NOTE]} notes" if count[CheckOutcome.NOTE] else ""
    if audit.is_verified:
        return f"verified, {count[CheckOutcome.PASSED]} checks passed{notes}"
    return f"NOT verified, {count[CheckOutcome.FAILED]} of {len(audit.checks)} checks failed{notes}"
