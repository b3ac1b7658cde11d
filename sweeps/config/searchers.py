"""The `algorithm` section: one class for each searcher, with its settings, its checks and where its code is.

To add a searcher, add its section here and to `AlgorithmConfig`, and its code as a module of `sweeps.search.searchers`.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, Tag

from sweeps.config.issues import Issue, shown
from sweeps.config.named_sections import by_name
from sweeps.config.resources import BudgetConfig
from sweeps.config.search_space import MAX_POINTS, Interval, Point, SearchSpace, contains, corners, written
from sweeps.models.config.limits import MAX_COUNT, Seed
from sweeps.section import Section


class SearcherConfig(Section):
    """What every searcher accepts.

    `searcher` is the `module:name` of a `sweeps.search.searchers.MakeSearcher`, imported on first use. A searcher may
    ignore `batch_size`, the number of points that it proposes at once, and `seed`.
    """

    searcher: ClassVar[str]

    name: str
    seed: Seed = Field(default=0, description="Seed of the points.")
    batch_size: int = Field(default=4, gt=0, le=10_000, description="Points that tpe proposes at once.")

    def n_trials(self, search: SearchSpace, budget: BudgetConfig) -> int:
        """Return how many points the searcher proposes in total: one without a search space."""
        return (budget.trials or 1) if search else 1

    def issues(self, search: SearchSpace, budget: BudgetConfig) -> list[Issue]:
        """Return what the searcher cannot work with in the search space and the budget."""
        text = f"must not be grid for algorithm {self.name}: write choice, or set algorithm.name to grid"
        issues = [
            Issue(f"search.{path}", text, ("algorithm.name",))
            for path, values in search.items()
            if values.kind == "grid"
        ]
        if search and budget.trials is None:
            text = f"must be given: algorithm {self.name} proposes points without end. Set the number of trials"
            issues.append(Issue("budget.trials", text, ("algorithm.name",)))
        return issues


class RandomConfig(SearcherConfig):
    """Draw each point independently of the others."""

    searcher: ClassVar[str] = "sweeps.search.searchers.random_search:random_searcher"

    name: Literal["random"] = Field(default="random", description="The search algorithm.")


class GridConfig(SearcherConfig):
    """Take every combination of the choices in turn."""

    searcher: ClassVar[str] = "sweeps.search.searchers.grid_search:grid_searcher"

    name: Literal["grid"] = Field(description="The search algorithm.")

    def n_trials(self, search: SearchSpace, budget: BudgetConfig) -> int:
        """Return the number of combinations, or the trials of the budget if they are fewer."""
        n_combinations = math.prod(len(corners(values)) for values in search.values())
        return min(n_combinations, budget.trials or n_combinations)

    def issues(self, search: SearchSpace, budget: BudgetConfig) -> list[Issue]:
        """Return the ranges that are not lists of choices, and a grid that is too large to be trained."""
        issues = []
        if (n_trials := self.n_trials(search, budget)) > MAX_COUNT:
            text = f"must be given, at most {MAX_COUNT:,}: the grid has {n_trials:,} combinations. Search fewer values"
            issues.append(Issue("budget.trials", text, ("search",)))
        return issues + [
            Issue(
                f"search.{path}",
                f"must be a grid or choice for algorithm grid, not {values.kind}: write {{grid: [...]}}",
                ("algorithm.name",),
            )
            for path, values in search.items()
            if isinstance(values, Interval)
        ]


class TpeConfig(SearcherConfig):
    """Learn from the results (tree-structured Parzen estimator, Bergstra et al. 2011).

    Points are proposed in batches of `batch_size`, each after the whole batch before it has ended, so that the same
    seed gives the same points.
    """

    searcher: ClassVar[str] = "sweeps.search.searchers.tpe:TpeSearcher"

    name: Literal["tpe"] = Field(description="The search algorithm.")
    # Optuna's generator takes 32 bits.
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Seed of the points.")


class PointsConfig(SearcherConfig):
    """Train a list of points, such as the leading trials of another sweep on new seeds (`sweeps confirm`)."""

    searcher: ClassVar[str] = "sweeps.search.searchers.listed_points:listed_searcher"

    name: Literal["points"] = Field(description="The search algorithm.")
    points: tuple[dict[str, Any], ...] = Field(
        min_length=1,
        max_length=MAX_POINTS,
        description="Points to train, in this order: each a value within its range for every path of search.",
        examples=[[{"model.hidden_size": 32}, {"model.hidden_size": 16}]],
    )

    def n_trials(self, search: SearchSpace, budget: BudgetConfig) -> int:
        """Return the number of points, or the trials of the budget if they are fewer; one without a search space."""
        return min(len(self.points), budget.trials or len(self.points)) if search else 1

    def issues(self, search: SearchSpace, budget: BudgetConfig) -> list[Issue]:
        """Return the points that lack a path of the search space, or have a value outside its range."""
        return [
            Issue(f"algorithm.points.{number}", text, ("search",))
            for number, point in enumerate(self.points)
            for text in _misfits(point, search)
        ]


def _misfits(point: Point, search: SearchSpace) -> Iterator[str]:
    for path in point:
        if path not in search:
            yield f"must not set {path}, which search does not have: search it, or leave it out"
    for path, values in search.items():
        if path not in point:
            yield f"must have a value for {path}, which is searched"
        elif not contains(values, point[path]):
            yield f"must have a {path} within {written(values)}, not {shown(point[path])}"


AlgorithmConfig = Annotated[
    Annotated[RandomConfig, Tag("random")]
    | Annotated[GridConfig, Tag("grid")]
    | Annotated[TpeConfig, Tag("tpe")]
    | Annotated[PointsConfig, Tag("points")],
    by_name(default="random"),
]
