"""Checks of the `search` section: each path is a setting of a trial, and every corner is a valid trial config."""

from collections.abc import Iterable, Mapping
from typing import Any

from sweeps.config.dotted_paths import not_a_setting, settings, with_values
from sweeps.config.issues import Issue
from sweeps.config.search_space import Point, SearchSpace, corners, invalid_corners
from sweeps.config.sections import SMALLEST_DATA, TrialConfig, try_parse


def search_issues(search: SearchSpace, trial: TrialConfig) -> list[Issue]:
    """Return the issues of paths that cannot be searched, and of corners at which the trial config is invalid."""
    document = trial.model_dump(mode="json", exclude_unset=True)
    issues = _path_issues(search, document)
    invalid = {issue.path for issue in issues}
    searched = {path: values for path, values in search.items() if f"search.{path}" not in invalid}

    document["data"] = SMALLEST_DATA  # cannot be searched

    def check(point: Point) -> list[Issue]:
        return try_parse(TrialConfig, with_values(document, point))[1]

    return issues + invalid_corners(searched, check)


def _path_issues(search: SearchSpace, trial: Mapping[str, Any]) -> list[Issue]:
    """Paths that name no setting, a setting of the data, or a setting inside another searched section."""
    known = _known_paths(search, trial)
    issues = []
    for path in search:
        if path not in known:
            issues.append(Issue(f"search.{path}", not_a_setting(path, TrialConfig, trial)))
        elif path.partition(".")[0] == "data":
            text = "must not be searched, because all trials share the data: search model and training settings instead"
            issues.append(Issue(f"search.{path}", text))
        issues += [_nested(path, outer) for outer in search if path.startswith(f"{outer}.")]
    return issues


def _known_paths(search: SearchSpace, trial: Mapping[str, Any]) -> set[str]:
    """The settings of a trial, with those of every model kind that the search may choose."""
    kinds: Iterable[Any] = corners(search["model.name"]) if "model.name" in search else ()
    documents = [trial, *(with_values(trial, {"model.name": kind}) for kind in kinds)]
    return {path for document in documents for path in settings(TrialConfig, document)}


def _nested(path: str, outer: str) -> Issue:
    return Issue(f"search.{path}", f"lies within search.{outer}, which sets the whole section: search one of the two")
