"""What a person sees of a promotion: its gates, its verdict, and what to do next."""

from rich.table import Table
from rich.text import Text

from sweeps.cli.display.console import open_console
from sweeps.registry.gates import failed
from sweeps.registry.promotion import Promotion, PromotionVerdict
from sweeps.registry.significance import GateOutcome

_STYLES = {
    GateOutcome.PASSED: "green",
    GateOutcome.FAILED: "red",
    GateOutcome.TIE: "yellow",
    GateOutcome.NOT_APPLICABLE: "dim",
}


def print_promotion(promotion: Promotion) -> None:
    """Print the gates, then the verdict."""
    console = open_console()
    if promotion.gates:
        console.print(_gate_table(promotion))
    console.print(Text(f"\n{_conclusion(promotion)}"), soft_wrap=True)
    if promotion.advice is not None:
        console.print(Text(f"next: {promotion.advice}"), soft_wrap=True)


def _gate_table(promotion: Promotion) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("gate", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("why", overflow="fold")
    for gate in promotion.gates:
        table.add_row(gate.name, Text(str(gate.outcome), style=_STYLES[gate.outcome]), Text(gate.sentence))
    return table


def _conclusion(promotion: Promotion) -> str:
    request = promotion.request
    trial, target = f"{promotion.sweep}/{promotion.trial}", f"{request.model}@{request.alias}"
    if promotion.verdict is PromotionVerdict.ALREADY:
        return f"{trial} is {target} already, as version {promotion.version}"
    if promotion.verdict is PromotionVerdict.PROMOTED:
        forced = ", by force" if promotion.is_forced else ""
        replaced = f"; it replaces version {promotion.replaced}" if promotion.replaced else ""
        return f"{trial} is {target} now, as version {promotion.version}{forced}{replaced}"
    names = ", ".join(gate.name for gate in failed(promotion.gates))
    if promotion.verdict is PromotionVerdict.REFUSED:
        alias = request.alias
        current = f"version {promotion.replaced} stays {alias}" if promotion.replaced else f"there is no {alias}"
        return f"{trial} is not promoted to {target}; failed gates: {names}; {current}"
    if promotion.verdict is PromotionVerdict.WOULD_BE_REFUSED:
        outcome = f"{trial} would not be promoted to {target}; failed gates: {names}"
    else:
        outcome = f"{trial} would become {target}{f' despite failed gates: {names}' if names else ''}"
    return f"{outcome}; this was a dry run, nothing has changed"
