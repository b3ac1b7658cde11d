"""The `data` section of a trial config: which data set it names. Imports nothing heavy.

A data set is a section here, listed in `BuiltInData`, and a module in `datamodules/` with the function that loads it.
The section names that function as "module:function", and `datamodules.build` imports it. The section also says what is
known before the data are loaded: `n_features`, None if only the data can say, and `may_have_labels`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, get_args

from pydantic import ConfigDict, Discriminator, Field, PositiveFloat, Tag, model_validator

from sweeps.datamodules.own_data_config import ArrayConfig, TableConfig
from sweeps.datamodules.plugin_config import DataPlugins, DataSettings, named_section
from sweeps.datamodules.split_config import Samples, SamplesOrNone, SplitConfig, ValidateOn
from sweeps.plugin_import import BUILT_IN, DATA, PLUG_IN

# Of data that are drawn: 2 GiB in double precision.
MAX_VALUES = 2**28


class DigitsConfig(SplitConfig):
    """scikit-learn's bundled 8x8 digits: 1,797 real images, available offline."""

    loader: ClassVar[str] = "sweeps.datamodules.digits:load"
    n_features: ClassVar[int] = 64

    name: Literal["digits"] = Field(default="digits", description="The data set.")


class MnistConfig(SplitConfig):
    """MNIST's 28x28 handwritten digits: 60,000 for training and validation, 10,000 for test."""

    loader: ClassVar[str] = "sweeps.datamodules.mnist:load"
    n_features: ClassVar[int] = 784

    name: Literal["mnist"] = Field(default="mnist", description="The data set.")


class FashionMnistConfig(SplitConfig):
    """Fashion-MNIST's 28x28 articles of clothing, split as MNIST is."""

    loader: ClassVar[str] = "sweeps.datamodules.fashion_mnist:load"
    n_features: ClassVar[int] = 784

    name: Literal["fashion_mnist"] = Field(default="fashion_mnist", description="The data set.")


class BlobsConfig(SplitConfig):
    """Blurred deltas, one image per pixel; `stripe` keeps every 27th image from the 11th on.

    The images are few and noiseless: by default all of them are used for both training and validation.
    """

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:blobs"
    n_features: ClassVar[int] = 784

    name: Literal["blobs"] = Field(default="blobs", description="The data set.")
    subset: Literal["stripe", "full"] = Field(
        default="stripe", description="All images, or every 27th from the 11th on."
    )
    n_test: SamplesOrNone | None = Field(default=0, description="Test samples; by default none.")
    validate_on: ValidateOn = Field(
        default="train", description="Split on which the valid/ metrics are measured; by default the training samples."
    )

    @property
    def may_have_labels(self) -> bool:
        """Never."""
        return False


class DrawnConfig(SplitConfig):
    """Data that are drawn at random, as many as fit in memory."""

    n_samples: Samples
    n_features: Samples

    @model_validator(mode="after")
    def values_fit_in_memory(self) -> Self:
        if self.n_samples * self.n_features > MAX_VALUES:
            raise ValueError(
                f"n_samples times n_features must be at most {MAX_VALUES:,}, not {self.n_samples * self.n_features:,}: "
                "lower one of them"
            )
        return self

    @property
    def may_have_labels(self) -> bool:
        """Never."""
        return False


class UniformConfig(DrawnConfig):
    """Features drawn independently from U(0, 1) by `seed`, which also splits them."""

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:uniform"

    name: Literal["uniform"] = Field(default="uniform", description="The data set.")
    n_samples: Samples = Field(default=99_999, description="Samples to draw.")
    n_features: Samples = Field(default=84, description="Features of a sample.")


class NormalConfig(DrawnConfig):
    """Features drawn independently from N(`mean`, `standard_deviation`²) by `seed`, which also splits them."""

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:normal"

    name: Literal["normal"] = Field(default="normal", description="The data set.")
    n_samples: Samples = Field(default=139_336, description="Samples to draw.")
    n_features: Samples = Field(default=84, description="Features of a sample.")
    mean: float = Field(default=0.0, description="Mean of each feature.")
    standard_deviation: PositiveFloat = Field(default=1.0, description="Standard deviation of each feature.")


class RowsConfig(SplitConfig):
    """A few samples in the sweep file itself: by default all of them are used for both training and validation."""

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:rows"

    name: Literal["rows"] = Field(default="rows", description="The data set.")
    rows: tuple[Annotated[tuple[float, ...], Field(min_length=1)], ...] = Field(
        min_length=1, description="The samples, each a list of numbers of the same length."
    )
    n_test: SamplesOrNone | None = Field(default=0, description="Test samples; by default none.")
    validate_on: ValidateOn = Field(
        default="train", description="Split on which the valid/ metrics are measured; by default the training samples."
    )

    @property
    def n_features(self) -> int:
        """Values of a row."""
        return len(self.rows[0])

    @property
    def may_have_labels(self) -> bool:
        """Never."""
        return False

    @model_validator(mode="after")
    def rows_are_of_one_length(self) -> Self:
        lengths = sorted({len(row) for row in self.rows})
        if len(lengths) > 1:
            raise ValueError(f"rows must all have the same number of values, not {' and '.join(map(str, lengths))}")
        return self


BuiltInData: TypeAlias = (
    DigitsConfig
    | MnistConfig
    | FashionMnistConfig
    | BlobsConfig
    | UniformConfig
    | NormalConfig
    | RowsConfig
    | ArrayConfig
    | TableConfig
)
SECTIONS: tuple[type[SplitConfig], ...] = get_args(BuiltInData)
NAMES = frozenset(section.model_fields["name"].default for section in SECTIONS)


class PluginDataConfig(SplitConfig):
    """A data set of your own, loaded by a plug-in, with settings of its own, which only the plug-in can check.

    The section of a recorded sweep is read without the plug-in: workers and `sweeps status` do not need it.
    """

    model_config = ConfigDict(extra="allow")

    loader: ClassVar[str] = "sweeps.datamodules.plugin_data:load"
    settings_reader: ClassVar[str | None] = "sweeps.datamodules.plugin_data:read_settings"
    n_features: ClassVar[None] = None

    name: str = Field(
        description="The import path of the plug-in, such as my_package.data:MyData, or the name of its entry point.",
        json_schema_extra={"not": {"enum": sorted(NAMES)}},
    )


def _kind(section: Any) -> str:
    """Return the tag of a data section: any name that is not built in may be a plug-in's."""
    name = section.get("name") if isinstance(section, Mapping) else getattr(section, "name", None)
    return PLUG_IN if isinstance(name, str) and name not in NAMES else BUILT_IN


DataConfig = Annotated[
    Annotated[BuiltInData, Field(discriminator="name"), Tag(BUILT_IN)] | Annotated[PluginDataConfig, Tag(PLUG_IN)],
    Discriminator(_kind),
    DataPlugins(DATA, SECTIONS, named_section, DataSettings),
]
