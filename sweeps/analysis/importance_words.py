"""The importance of settings as one sentence."""

from collections.abc import Sequence
from typing import Protocol

_LEAST_PERCENT = 1.0


class Measured(Protocol):
    """The importance of one setting, as far as a sentence needs it."""

    @property
    def path(self) -> str: ...
    @property
    def fanova(self) -> float: ...
    @property
    def fanova_std(self) -> float: ...
    @property
    def matters(self) -> bool: ...


def importance_sentence(settings: Sequence[Measured], n_sampled: int, n_trials: int) -> str:
    """Return which settings explain the differences between trials, and which are not significant."""
    leading = [setting for setting in settings if setting.matters]
    others = [setting for setting in settings if not setting.matters]
    sampled = f" Each forest learned from {n_sampled} of the {n_trials:,} trials." if n_sampled < n_trials else ""
    if not leading:
        names = "the setting" if len(settings) == 1 else "any setting"
        return f"No effect is significant: {n_trials:,} trials do not show that {names} matters.{sampled}"
    shares = [_share(setting, first=index == 0) for index, setting in enumerate(leading)]
    return f"{', '.join(shares)}{_rest(others)}.{sampled}"


def too_few_sentence(reason: str) -> str:
    """Return why no importance is reported."""
    return f"No importance is reported: {reason} needed."


def _share(setting: Measured, *, first: bool) -> str:
    verb = " explains" if first else ""
    of = " of the differences" if first else ""
    share = 100 * setting.fanova
    percent = f"{share:.0f} % (± {100 * setting.fanova_std:.0f})" if share >= _LEAST_PERCENT else "less than 1 %"
    return f"`{setting.path}`{verb} {percent}{of}"


def _rest(others: Sequence[Measured]) -> str:
    if not others:
        return ""
    if len(others) == 1:
        return f"; `{others[0].path}` has no significant effect"
    return "; the others have no significant effect"
