"""The sweep file: its sections, and loading it with all its issues reported at once. Imports nothing heavy."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, Field, field_validator

from sweeps.config.checks import data_issues, objective_issues, patience_issues, promotion_issues
from sweeps.config.dotted_paths import not_a_setting, with_values
from sweeps.config.issues import Issue
from sweeps.config.objective import ObjectiveConfig, Objectives
from sweeps.config.overrides import override
from sweeps.config.plain_yaml import write_yaml
from sweeps.config.plugin_settings import data_plugin_issues, make_paths_absolute
from sweeps.config.promotion import PromotionConfig
from sweeps.config.python_values import plain_document
from sweeps.config.recipes import SweepSource, read_document
from sweeps.config.resources import BudgetConfig, FiguresConfig, PricesConfig, ResourcesConfig
from sweeps.config.schedulers import NoStoppingConfig, StoppingConfig
from sweeps.config.search_checks import search_issues
from sweeps.config.search_space import MAX_RANGES, Point, Range, corner_points
from sweeps.config.searchers import AlgorithmConfig, RandomConfig
from sweeps.config.sections import SMALLEST_DATA, TrialConfig, parse, try_parse
from sweeps.config.valid_settings import concerns, without
from sweeps.datamodules.config import DataConfig
from sweeps.datamodules.split_config import SplitConfig
from sweeps.errors import ConfigError
from sweeps.models.config import ModelConfig, TrainingConfig
from sweeps.plugin_import import without_import
from sweeps.section import Section


class SweepConfig(Section):
    """A sweep file: a trial config, the search space around it, and how the sweep runs.

    Written in Python, sections are dicts or classes such as `sweeps.config.ShallowConfig`, and all checks of a sweep
    file apply: ConfigError has a line for each issue.

    >>> config = sweeps.SweepConfig(
    ...     name="sizes",
    ...     data={"name": "digits"},
    ...     model={"name": "shallow", "noise": {"level": 0.2}},
    ...     training={"epochs": 2},
    ...     search={"model.hidden_size": {"choice": [16, 32]}},
    ...     objective={"metric": "valid/mse"},
    ...     budget={"trials": 2},
    ... )
    >>> config.n_trials
    2

    `objective` may be a list; with several objectives the result is a Pareto front. `execution` decides whether several
    points train at once, as a pack: `auto` packs points where only the speed changes; `packed` also packs points with
    other seeds, whose batches and noise then follow the sweep's seed, and allows sums that round in another order;
    `single` trains each point by itself.
    """

    name: str = Field(description="Name of the sweep: letters, digits, '-', '_' and '.'.")
    description: str = Field(default="", description="Text about the sweep, shown in MLflow.")
    experiment: str = Field(
        default_factory=lambda given: given.get("name", ""),
        description="Name of the experiment in MLflow; by default that of the sweep.",
    )
    data: DataConfig = Field(description="The data set, and how it is split.")
    model: ModelConfig = Field(description="The network family and its settings.")
    training: TrainingConfig = Field(default=TrainingConfig(), description="How each network is trained.")
    search: dict[str, Range] = Field(
        default_factory=dict,
        max_length=MAX_RANGES,
        description="Ranges to search, by the dotted paths of settings of model and training.",
    )
    objective: Objectives = Field(description="What ranks the trials: one metric, or a list for a Pareto front.")
    algorithm: AlgorithmConfig = Field(default=RandomConfig(), description="How points of the search space are chosen.")
    stopping: StoppingConfig = Field(
        default=NoStoppingConfig(), description="Whether trials that fall behind the others stop early."
    )
    budget: BudgetConfig = Field(default=BudgetConfig(), description="When the sweep ends.")
    resources: ResourcesConfig = Field(default=ResourcesConfig(), description="What each trial may use.")
    prices: PricesConfig | None = Field(default=None, description="Prices per device hour, for `sweeps quote`.")
    execution: Literal["auto", "packed", "single"] = Field(
        default="auto",
        description="Whether trials train in packs: where results stay the same, wherever possible, or never.",
    )
    figures: FiguresConfig = Field(default=FiguresConfig(), description="Which trials get detailed figures.")
    promotion: PromotionConfig = Field(
        default=PromotionConfig(), description="What a model must pass to become the champion."
    )

    if TYPE_CHECKING:  # Type checkers and editors know the settings by their names.

        def __init__(
            self,
            *,
            name: str,
            description: str = ...,
            experiment: str = ...,
            data: SplitConfig | Mapping[str, Any],
            model: ModelConfig | Mapping[str, Any],
            training: TrainingConfig | Mapping[str, Any] = ...,
            search: Mapping[str, Range | Mapping[str, Any]] = ...,
            objective: ObjectiveConfig | Mapping[str, Any] | Sequence[ObjectiveConfig | Mapping[str, Any]],
            algorithm: AlgorithmConfig | Mapping[str, Any] = ...,
            stopping: StoppingConfig | Mapping[str, Any] = ...,
            budget: BudgetConfig | Mapping[str, Any] = ...,
            resources: ResourcesConfig | Mapping[str, Any] = ...,
            prices: PricesConfig | Mapping[str, Any] | None = ...,
            execution: Literal["auto", "packed", "single"] = ...,
            figures: FiguresConfig | Mapping[str, Any] = ...,
            promotion: PromotionConfig | Mapping[str, Any] = ...,
        ) -> None: ...

    else:

        def __init__(self, /, **settings: Any) -> None:
            document = plain_document(settings)
            make_paths_absolute(document.get("data"))
            sweep = type(self).from_dict(document)
            BaseModel.__init__(self, **{name: getattr(sweep, name) for name in sweep.model_fields_set})

        # Only calls of the class run it: `parse`, which it uses, checks what it reads by itself.
        __init__.__pydantic_base_init__ = True

    @field_validator("name")
    @classmethod
    def name_fits_a_folder(cls, name: str) -> str:
        plain = name.replace("-", "").replace("_", "").replace(".", "")
        if not (plain.isascii() and plain.isalnum() and name[0].isalnum() and len(name) <= 64):
            raise ValueError(
                f"must be up to 64 letters, digits, '-', '_' and '.', starting with a letter or digit, not {name!r}"
            )
        return name

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Return the sweep of a plain dict, such as that of `to_dict`; ConfigError lists everything wrong with it."""
        issues = _issues(document)
        if issues:
            raise ConfigError(issues)
        return parse(cls, document)

    @classmethod
    def restore(cls, document: Mapping[str, Any]) -> Self:
        """Return the sweep of a dict that `to_dict` returned: types are checked, the search space's corners are not.

        No plug-in is imported before `trial_at`: sweeps can be listed where the code of theirs is not installed.
        """
        return parse(cls, document, without_import())

    def to_dict(self) -> dict[str, Any]:
        """Return the settings of the file as plain JSON values, without defaults."""
        return self.model_dump(mode="json", exclude_unset=True)

    def to_yaml(self) -> str:
        """Return the text of a sweep file that `load` reads."""
        return write_yaml(self.to_dict())

    @property
    def objectives(self) -> tuple[ObjectiveConfig, ...]:
        """All objectives; the first one decides where only one can."""
        return (self.objective,) if isinstance(self.objective, ObjectiveConfig) else self.objective

    @property
    def trial(self) -> TrialConfig:
        """The trial config that each point changes."""
        return TrialConfig.model_validate({"data": self.data, "model": self.model, "training": self.training})

    @property
    def n_trials(self) -> int:
        """How many points the sweep trains, unless a budget ends it earlier; without a search space, one."""
        return self.algorithm.n_trials(self.search, self.budget)

    @property
    def n_epochs(self) -> int:
        """The epochs of the longest trial, pretraining included."""
        return max(map(self.epochs_at, corner_points(self.search)))

    def corner_trials(self) -> list[TrialConfig]:
        """Return the trials at the corners of the search space; without a search space, the only trial."""
        return [self.trial_at(point) for point in corner_points(self.search)]

    def trial_at(self, point: Point) -> TrialConfig:
        """Return the trial config at a point, its plug-in imported; ConfigError if its values do not fit together."""
        return self._trial_at(point).model_copy(update={"data": self.data})

    def epochs_at(self, point: Point) -> int:
        """Return the number of all epochs of the trial at a point, without importing its plug-in."""
        return self._trial_at(point, without_import()).n_epochs

    def _trial_at(self, point: Point, context: Mapping[str, Any] | None = None) -> TrialConfig:
        # No point changes the data, which may be thousands of rows: they are not parsed again.
        document = self.trial.model_dump(mode="json", exclude_unset=True, exclude={"data"}) | {"data": SMALLEST_DATA}
        return parse(TrialConfig, with_values(document, point), context)


def load(recipe_or_path: "SweepConfig | SweepSource", overrides: Sequence[str] | Mapping[str, Any] = ()) -> SweepConfig:
    """Return the sweep of a recipe or a sweep file, or another sweep, with some settings changed.

    Args:
        recipe_or_path: The name of a recipe (`sweeps recipes` lists them), a sweep file, a sweep, or a dict.
        overrides: New values by dotted path, as a dict or as on the command line: `["budget.trials=4"]`. None, or null
            on the command line, removes a searched range.

    Raises:
        ConfigError: The sweep is not valid; one line for each issue.

    Example:
        >>> config = sweeps.load("quickstart", {"budget.trials": 2, "training.epochs": 2})
        >>> config.n_trials, config.objective.metric
        (2, 'valid/probe_error')

    """
    document = read_document(recipe_or_path)
    issues = override(document, overrides)
    make_paths_absolute(document.get("data"))
    issues += _issues(document)
    if issues:
        raise ConfigError(issues)
    return parse(SweepConfig, document)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a sweep file, for editors that complete and check while you write."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | SweepConfig.model_json_schema()


def _issues(document: Mapping[str, Any]) -> list[str]:
    """Everything wrong with a sweep. Checks across sections run on the document without its invalid settings."""
    sweep, issues = try_parse(SweepConfig, document)
    invalid = [issue.path for issue in issues]
    issues += data_plugin_issues(document.get("data"), lambda path: not_a_setting(path, SweepConfig, document))
    if sweep is None:
        valid = {"name": "sweep", "objective": {"metric": "valid/mse"}} | without(document, invalid)
        sweep, _ = try_parse(SweepConfig, valid)
    if sweep is not None:
        deeper = search_issues(sweep.search, sweep.trial) or _inconsistencies(sweep)
        issues += [issue for issue in deeper if not concerns(issue, invalid)]
    return list(dict.fromkeys(str(issue) for issue in issues))


def _inconsistencies(sweep: SweepConfig) -> list[Issue]:
    """Sections that contradict one another."""
    trials = sweep.corner_trials()
    return [
        *sweep.algorithm.issues(sweep.search, sweep.budget),
        *patience_issues(sweep.objectives, trials),
        *sweep.stopping.issues(sweep.objectives, trials),
        *objective_issues(sweep.objectives, trials),
        *promotion_issues(sweep.promotion, trials),
        *data_issues(trials),
    ]
