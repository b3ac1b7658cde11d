"""What to search next: each range narrowed, widened, dropped or kept, as a sweep file that is ready to run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sweeps.analysis.axes import Axis, ranked_axes
from sweeps.analysis.importance import Importance, SettingImportance, importances
from sweeps.analysis.leaders import leaders_of
from sweeps.analysis.next_ranges import narrowed, widened
from sweeps.analysis.sweep_files import renamed
from sweeps.config import SweepConfig
from sweeps.config.dotted_paths import with_values
from sweeps.config.plain_yaml import write_yaml
from sweeps.config.search_space import Choices, Interval, written
from sweeps.errors import ConfigError
from sweeps.tracking.sweep_result import SweepResult

Action = Literal["narrow", "widen", "drop", "keep"]
# A setting is dropped only if enough trials would have shown an effect: this many, and this many for each setting.
DROP_TRIALS = 30
DROP_TRIALS_PER_SETTING = 5
DROP_SHARE = 0.05


@dataclass(frozen=True)
class SettingAdvice:
    """What to do with a searched setting, and why. `before` and `after` are ranges as a sweep file writes them.

    A dropped setting has no range: `after` is the value of the best trial, at which it stays.
    """

    path: str
    action: Action
    reason: str
    before: Mapping[str, Any]
    after: Any


@dataclass(frozen=True)
class Suggestion:
    """The next sweep: advice for each searched setting, and the sweep file that follows it.

    `yaml` is None, and `why_none` says why, if the sweep searches nothing or too few trials are ranked.
    """

    settings: tuple[SettingAdvice, ...]
    yaml: str | None
    why_none: str | None


# Searchers whose points do not depend on results: only there can the place of the best trials be compared with chance.
_DRAWS_EVENLY = ("random", "grid")


@dataclass(frozen=True)
class _Option:
    """A change of one setting, to be made if the sweep file stays valid."""

    action: Action
    reason: str
    values: Interval | Choices | None
    fixed: Any = None


def suggest_next(result: SweepResult, importance: Importance | None = None) -> Suggestion:
    """Return the sweep to run next; `importance` is that of `importances` for the first objective, if it is known."""
    if (why_none := _why_none(result)) is not None:
        return Suggestion((), None, why_none)
    importance = importance or importances(result)
    if importance.too_few is not None:
        kept = tuple(
            SettingAdvice(path, "keep", importance.sentence, written(values), written(values))
            for path, values in result.config.search.items()
        )
        return Suggestion(kept, None, importance.sentence)
    document = renamed(result.config.to_dict(), "-next")
    document["description"] = f"Suggested by the results of {result.sweep}."
    document["experiment"] = result.config.experiment
    seed = getattr(result.config.algorithm, "seed", None)
    if seed is not None:  # the same seed would draw the same points from the ranges that are kept
        document["algorithm"] = {
            **document.get("algorithm", {}),
            "name": result.config.algorithm.name,
            "seed": seed + 1,
        }
    can_check = _is_valid(document)  # not where the code of a plug-in is not installed
    axes = {axis.path: axis for axis in ranked_axes(result)}
    measured = {setting.path: setting for setting in importance.settings}
    settings = []
    for path, values in result.config.search.items():
        options = _options(result, axes.get(path), values, measured.get(path), importance)
        advice, document = _take(path, values, options, document, can_check)
        settings.append(advice)
    return Suggestion(tuple(settings), write_yaml(document), None)


def _why_none(result: SweepResult) -> str | None:
    """Return why the place of the leading trials says nothing about the ranges; None if it does."""
    algorithm = result.config.algorithm.name
    if not result.config.search:
        return "the sweep searches no setting"
    if len(result.config.objectives) > 1:
        return "with several objectives, which ranges to change depends on the trade-off that you want"
    if algorithm == "points":
        return "the sweep trains a list of points"
    if algorithm not in _DRAWS_EVENLY:
        return f"{algorithm} proposes most points where results were good, so their place says little about the ranges"
    return None


def _options(
    result: SweepResult,
    axis: Axis | None,
    values: Interval | Choices,
    measured: SettingImportance | None,
    importance: Importance,
) -> Iterator[_Option]:
    """Yield what could be done with a setting, the best first; nothing if it is to be kept."""
    if axis is None or measured is None:
        return
    leaders = leaders_of(result, axis, values)
    needed = max(DROP_TRIALS, DROP_TRIALS_PER_SETTING * len(importance.settings))
    # A setting that does nothing in most trials may still decide among the best ones.
    is_even = measured.ped_anova <= 1 / len(importance.settings)
    if not measured.matters and measured.fanova < DROP_SHARE and is_even and importance.n_trials >= needed:
        # Without a setting there is no sweep: the most important one stays.
        if measured.path != importance.settings[0].path:
            best = result.ranking[0].point[axis.path]
            reason = f"it has no significant effect in {importance.n_trials:,} trials"
            yield _Option("drop", f"{reason}; it stays at the best trial's value", None, best)
        return
    if (edge := leaders.edge) is not None:
        for wider in widened(values, edge):
            yield _Option("widen", leaders.edge_reason, wider)
    if leaders.are_close:
        for narrower in narrowed(values, axis, leaders):
            yield _Option("narrow", leaders.close_reason, narrower)


def _take(
    path: str,
    values: Interval | Choices,
    options: Iterator[_Option],
    document: dict[str, Any],
    can_check: bool,
) -> tuple[SettingAdvice, dict[str, Any]]:
    """Return the advice of the first option whose sweep file is valid, and that file's document."""
    before, refused = written(values), None
    for option in options:
        changed = _changed(document, path, option)
        if _is_valid(changed) if can_check else option.action != "widen":
            after = option.fixed if option.values is None else written(option.values)
            return SettingAdvice(path, option.action, option.reason, before, after), changed
        refused = option
    keep = SettingAdvice(path, "keep", "the leading trials show no clear preference", before, before)
    if refused is not None:
        limit = (
            "but no range that goes further is valid" if refused.action == "widen" else "but the change is not valid"
        )
        keep = replace(keep, reason=f"{refused.reason}, {limit}")
    return keep, document


def _changed(document: Mapping[str, Any], path: str, option: _Option) -> dict[str, Any]:
    search = dict(document["search"])
    if option.values is not None:
        return {**document, "search": search | {path: written(option.values)}}
    del search[path]
    return with_values({**document, "search": search}, {path: option.fixed})


def _is_valid(document: Mapping[str, Any]) -> bool:
    try:
        SweepConfig.from_dict(document)
    except ConfigError:
        return False
    return True
