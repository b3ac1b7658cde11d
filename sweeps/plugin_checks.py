"""What the checks of a plug-in found: the report that a contract test and `sweeps check-plugin` give an author."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One rule of the contract of plug-ins: its name, whether it holds, and in one line why not or what was seen."""

    name: str
    status: Status
    detail: str = ""
