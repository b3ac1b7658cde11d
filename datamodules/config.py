"""The `data` section of a trial config: which data set, and how it is split. Imports nothing heavy.

A data set is a section here, listed in `DataConfig`, and a module in `datamodules/` with the function that loads it.
The section names that function as "module:function", and `datamodules.build` imports it. The section also says what is
known before the data are loaded: `n_features`, None if only the data can say, and `may_have_labels`.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

ValidateOn = Literal["valid", "train", "test"]
Missing = Literal["error", "mean", "mask"]
TABLE_SUFFIXES = (".csv", ".parquet", ".feather")


def _checked_channels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of an image; one of three numbers must have three channels, first or last."""
    if len(shape) == 3 and 3 not in (shape[0], shape[-1]):
        raise ValueError(
            "image_shape must be [height, width], [height, width, 3] or [3, height, width], "
            f"not {list(shape)}: correct it, or leave it out"
        )
    return shape


ImageShape = Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=3), AfterValidator(_checked_channels)]


class SplitConfig(BaseModel):
    """How samples are split; every data set takes these settings.

    `n_test` defaults to the published test set, else a fifth of the samples; `n_valid` to a sixth of the rest;
    `n_train` to all that remains. The three splits are disjoint and drawn by `seed`.
    `validate_on` names the split on which the `valid/...` metrics are measured: `train` for experiments that report the
    training error, `test` to reproduce published numbers that were validated on the test set. With either, there is no
    validation split and `n_valid` must be left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # (section) -> Source: the whole data set, before it is split.
    loader: ClassVar[str]
    # The setting that names the labels of a user's own data; empty if the data set decides.
    labels_setting: ClassVar[str] = ""
    # (section) -> str: which setting would give labels to data that were read without any. None: no setting can.
    label_adviser: ClassVar[str | None] = None

    n_train: PositiveInt | None = Field(None, description="Training samples; by default all that remain.")
    n_valid: PositiveInt | None = Field(
        None, description="Validation samples; by default a sixth of those left after the test set."
    )
    n_test: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Test samples; by default the published test set, else a fifth of the samples."
    )
    validate_on: ValidateOn = Field("valid", description="Split on which the valid/ metrics are measured.")
    seed: int = Field(0, ge=0, description="Seed of the split, and of data that are drawn at random.")

    @property
    def may_have_labels(self) -> bool:
        """Whether labels are possible, as far as the section alone can say."""
        return True


class DigitsConfig(SplitConfig):
    """scikit-learn's bundled 8x8 digits: 1,797 real images, available offline."""

    loader: ClassVar[str] = "sweeps.datamodules.digits:load"
    n_features: ClassVar[int] = 64

    name: Literal["digits"] = Field("digits", description="The data set.")


class MnistConfig(SplitConfig):
    """MNIST's 28x28 handwritten digits: 60,000 for training and validation, 10,000 for test."""

    loader: ClassVar[str] = "sweeps.datamodules.mnist:load"
    n_features: ClassVar[int] = 784

    name: Literal["mnist"] = Field("mnist", description="The data set.")


class FashionMnistConfig(SplitConfig):
    """Fashion-MNIST's 28x28 articles of clothing, split as MNIST is."""

    loader: ClassVar[str] = "sweeps.datamodules.fashion_mnist:load"
    n_features: ClassVar[int] = 784

    name: Literal["fashion_mnist"] = Field("fashion_mnist", description="The data set.")


class BlobsConfig(SplitConfig):
    """Blurred deltas, one image per pixel; `stripe` keeps every 27th image from the 11th on.

    The images are few and noiseless: by default all of them are used for both training and validation.
    """

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:blobs"
    n_features: ClassVar[int] = 784

    name: Literal["blobs"] = Field("blobs", description="The data set.")
    subset: Literal["stripe", "full"] = Field("stripe", description="All images, or every 27th from the 11th on.")
    n_test: Annotated[int, Field(ge=0)] | None = Field(0, description="Test samples; by default none.")
    validate_on: ValidateOn = Field(
        "train", description="Split on which the valid/ metrics are measured; by default the training samples."
    )

    @property
    def may_have_labels(self) -> bool:
        """Never."""
        return False


class UniformConfig(SplitConfig):
    """Features drawn independently from U(0, 1) by `seed`, which also splits them."""

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:uniform"

    name: Literal["uniform"] = Field("uniform", description="The data set.")
    n_samples: PositiveInt = Field(99_999, description="Samples to draw.")
    n_features: PositiveInt = Field(84, description="Features of a sample.")

    @property
    def may_have_labels(self) -> bool:
        """Never."""
        return False


class NormalConfig(SplitConfig):
    """Features drawn independently from N(`mean`, `standard_deviation`²) by `seed`, which also splits them."""

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:normal"

    name: Literal["normal"] = Field("normal", description="The data set.")
    n_samples: PositiveInt = Field(139_336, description="Samples to draw.")
    n_features: PositiveInt = Field(84, description="Features of a sample.")
    mean: float = Field(0.0, description="Mean of each feature.")
    standard_deviation: PositiveFloat = Field(1.0, description="Standard deviation of each feature.")

    @property
    def may_have_labels(self) -> bool:
        """Never."""
        return False


class RowsConfig(SplitConfig):
    """A few samples in the sweep file itself: by default all of them are used for both training and validation."""

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:rows"

    name: Literal["rows"] = Field("rows", description="The data set.")
    rows: tuple[Annotated[tuple[float, ...], Field(min_length=1)], ...] = Field(
        min_length=1, description="The samples, each a list of numbers of the same length."
    )
    n_test: Annotated[int, Field(ge=0)] | None = Field(0, description="Test samples; by default none.")
    validate_on: ValidateOn = Field(
        "train", description="Split on which the valid/ metrics are measured; by default the training samples."
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


class ArrayConfig(SplitConfig):
    """A user's own `.npy` or `.npz`: `inputs` of shape (samples, ...) and, if there are any, integer `labels`.

    An `.npz` has its arrays under `inputs_key` and `labels_key`; the labels of an `.npy` are in a second file.
    Inputs are multiplied by `scale` when a batch is taken.
    """

    loader: ClassVar[str] = "sweeps.datamodules.array_files:load_array"
    labels_setting: ClassVar[str] = "data.labels_path"
    label_adviser: ClassVar[str | None] = "sweeps.datamodules.label_arrays:label_advice"
    n_features: ClassVar[None] = None

    name: Literal["array"] = Field("array", description="The data set.")
    path: Path = Field(description="File of the samples, relative to the folder where the command runs.")
    labels_path: Path | None = Field(
        None, description="File of the integer labels, if they are not in the file of the samples."
    )
    inputs_key: str = Field("inputs", description="Name of the samples in an .npz file.")
    labels_key: str = Field("labels", description="Name of the labels in an .npz file.")
    image_shape: ImageShape | None = Field(
        None,
        description="Shape of a sample that is an image: [height, width], or in colour [height, width, 3], or "
        "[3, height, width] where the channels come first; taken from the array's own shape if left out.",
    )
    scale: PositiveFloat = Field(1.0, description="Factor that multiplies the inputs, such as 0.00392 for bytes.")

    @property
    def may_have_labels(self) -> bool:
        """Whether there is a place for them: an `.npy` file holds one array."""
        return self.path.suffix != ".npy" or self.labels_path is not None

    @field_validator("path")
    @classmethod
    def path_is_no_table(cls, path: Path) -> Path:
        if path.suffix.lower() in TABLE_SUFFIXES:
            raise ValueError(f"must be an .npy or .npz file, not {path}: for a table, set data.name to table")
        return path


class TableConfig(SplitConfig):
    """A user's own table in a `.csv`, `.parquet` or `.feather` file: one row a sample, one or more columns a feature.

    Numeric columns become one feature each, and columns of text one feature for each of their categories, 0 or 1.
    """

    loader: ClassVar[str] = "sweeps.datamodules.tables:load_table"
    labels_setting: ClassVar[str] = "data.label_column"
    n_features: ClassVar[None] = None

    name: Literal["table"] = Field("table", description="The data set.")
    path: Path = Field(
        description="The table: a .csv, .parquet or .feather file with named columns.", examples=["samples.csv"]
    )
    label_column: str | None = Field(
        None, description="The column with each row's class, as text or integers; it is no feature."
    )
    drop_columns: tuple[str, ...] = Field((), description="Columns that are neither features nor labels, such as ids.")
    missing: Missing = Field(
        "error",
        description="What to do about missing values: error refuses them; mean replaces them by the column's mean over "
        "the training split; mask leaves them out of the loss and the metrics.",
    )
    max_categories: PositiveInt = Field(
        50, description="The most categories that a column of text may have; more are refused."
    )

    @property
    def may_have_labels(self) -> bool:
        """Whether a column is named for them."""
        return self.label_column is not None

    @field_validator("path")
    @classmethod
    def path_is_a_table(cls, path: Path) -> Path:
        if path.suffix.lower() not in TABLE_SUFFIXES:
            kinds = f"{', '.join(TABLE_SUFFIXES[:-1])} or {TABLE_SUFFIXES[-1]}"
            hint = ": for arrays, set data.name to array" if path.suffix.lower() in (".npy", ".npz") else ""
            raise ValueError(f"must end in {kinds}, not {path}{hint}")
        return path

    @model_validator(mode="after")
    def labels_are_not_dropped(self) -> Self:
        if self.label_column is not None and self.label_column in self.drop_columns:
            raise ValueError(f"drop_columns must not name the label_column {self.label_column!r}: remove it from one")
        return self


DataConfig = Annotated[
    DigitsConfig
    | MnistConfig
    | FashionMnistConfig
    | BlobsConfig
    | UniformConfig
    | NormalConfig
    | RowsConfig
    | ArrayConfig
    | TableConfig,
    Field(discriminator="name"),
]
