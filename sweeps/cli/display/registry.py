"""What a person sees of the registry on a terminal: the gates of a promotion, and who held an alias."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.registry.alias_history import Move
from sweeps.registry.gates import failed
from sweeps.registry.promotion import Promotion, PromotionVerdict
from sweeps.registry.significance import GateOutcome

_STYLES = {
    GateOutcome.PASSED: "green",
    GateOutcome.FAILED: "red",
    GateOutcome.TIE: "yellow",
    GateOutcome.NOT_APPLICABLE: "dim",
}


def promotion(promotion: Promotion) -> None:
    """The gates, then what came of them."""
    console = Console()
    if promotion.gates:
        console.print(_gate_table(promotion))
    console.print(Text(f"\n{_conclusion(promotion)}"), soft_wrap=True)


def history(name: str, alias: str, moves: Sequence[Move], holder: str | None) -> None:
    """Who held an alias, newest first, and that nobody does now where there is no `holder`."""
    table = Table(box=None, pad_edge=False)
    for heading in ("version", "when", "who", "what", "trial", "why"):
        table.add_column(heading, overflow="fold")
    for place, step in enumerate(reversed(moves)):
        mark = f"{step.version} <- {alias}" if place == 0 and step.version == holder else step.version
        origin = "" if step.sweep is None else f"{step.sweep}/{step.trial}"
        table.add_row(*map(Text, (mark, _local(step.when), step.who, str(step.kind), origin, step.reason)))
    console = Console()
    console.print(table if moves else f"{name}: no version has held {alias}")
    if moves and holder is None:
        console.print(Text(f"\nnobody is {alias} now: the alias, or its version, was deleted in MLflow"))


def rolled_back(name: str, alias: str, step: Move) -> None:
    """Where an alias points now."""
    Console().print(Text(f"{alias} of {name} is version {step.version} again, no longer version {step.replaced}"))


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
        before = f"; it replaces version {promotion.replaced}" if promotion.replaced else ""
        return f"{trial} is {target} now, as version {promotion.version}{forced}{before}"
    names = ", ".join(gate.name for gate in failed(promotion.gates))
    stays = (
        f"version {promotion.replaced} stays {request.alias}" if promotion.replaced else f"nobody is {request.alias}"
    )
    if promotion.verdict is PromotionVerdict.REFUSED:
        return f"{trial} is not promoted to {target}: {names}; {stays}"
    told = f"{trial} would become {target}"
    if promotion.verdict is PromotionVerdict.WOULD_BE_REFUSED:
        told = f"{trial} would not be promoted to {target}: {names}"
    elif names:
        told = f"{told} past {names}"
    return f"{told}; this was a dry run, nothing has moved"


def _local(when: str) -> str:
    return datetime.fromisoformat(when).astimezone().strftime("%Y-%m-%d %H:%M") if when else ""
