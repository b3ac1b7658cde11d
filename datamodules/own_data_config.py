"""The sections of a user's own data: arrays and tables."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, field_validator, model_validator

from sweeps.datamodules.split_config import Samples, SplitConfig

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


ImageShape = Annotated[tuple[Samples, ...], Field(min_length=2, max_length=3), AfterValidator(_checked_channels)]


class ArrayConfig(SplitConfig):
    """A user's own `.npy` or `.npz`: `inputs` of shape (samples, ...) and, if there are any, integer `labels`.

    An `.npz` has its arrays under `inputs_key` and `labels_key`; the labels of an `.npy` are in a second file.
    Inputs are multiplied by `scale` when a batch is taken.
    """

    loader: ClassVar[str] = "sweeps.datamodules.array_files:load_array"
    labels_setting: ClassVar[str] = "data.labels_path"
    label_adviser: ClassVar[str | None] = "sweeps.datamodules.label_arrays:label_advice"
    n_features: ClassVar[None] = None

    name: Literal["array"] = Field(default="array", description="The data set.")
    path: Path = Field(description="File of the samples, relative to the folder where the command runs.")
    labels_path: Path | None = Field(
        default=None, description="File of the integer labels, if they are not in the file of the samples."
    )
    inputs_key: str = Field(default="inputs", description="Name of the samples in an .npz file.")
    labels_key: str = Field(default="labels", description="Name of the labels in an .npz file.")
    image_shape: ImageShape | None = Field(
        default=None,
        description="Shape of a sample that is an image: [height, width], or in colour [height, width, 3], or "
        "[3, height, width] where the channels come first; taken from the array's own shape if left out.",
    )
    scale: PositiveFloat = Field(
        default=1.0, description="Factor that multiplies the inputs, such as 0.00392156862745098 (1/255) for bytes."
    )

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

    name: Literal["table"] = Field(default="table", description="The data set.")
    path: Path = Field(
        description="The table: a .csv, .parquet or .feather file with named columns.", examples=["samples.csv"]
    )
    label_column: str | None = Field(
        default=None, description="The column with each row's class, as text or integers; it is no feature."
    )
    drop_columns: tuple[str, ...] = Field(
        default=(), description="Columns that are neither features nor labels, such as ids."
    )
    missing: Missing = Field(
        default="error",
        description="What to do about missing values: error refuses them; mean replaces them by the column's mean over "
        "the training split; mask leaves them out of the loss and the metrics.",
    )
    max_categories: int = Field(
        default=50, gt=0, le=10_000, description="The most categories that a column of text may have; more are refused."
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


def expanded(path: Path) -> Path:
    """Return a path whose `~` or `~user` is replaced; unchanged if there is no such user."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path
