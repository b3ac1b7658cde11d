"""The `data` section of a trial config: which data set, and how it is split. Imports nothing heavy.

A data set is a section here, listed in `DataConfig`, and a module in `datamodules/` with the function that loads it.
The section names that function as "module:function", and `datamodules.build` imports it. The section also says what is
known before the data are loaded: `n_features`, None if only the data can say, and `may_have_labels`.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

ValidateOn = Literal["valid", "train", "test"]


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

    n_train: PositiveInt | None = None
    n_valid: PositiveInt | None = None
    n_test: Annotated[int, Field(ge=0)] | None = None
    validate_on: ValidateOn = "valid"
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def may_have_labels(self) -> bool:
        """Whether labels are possible, as far as the section alone can say."""
        return True


class DigitsConfig(SplitConfig):
    """scikit-learn's bundled 8x8 digits: 1,797 real images, available offline."""

    loader: ClassVar[str] = "sweeps.datamodules.digits:load"
    n_features: ClassVar[int] = 64

    name: Literal["digits"] = "digits"


class MnistConfig(SplitConfig):
    """MNIST's 28x28 handwritten digits: 60,000 for training and validation, 10,000 for test."""

    loader: ClassVar[str] = "sweeps.datamodules.mnist:load"
    n_features: ClassVar[int] = 784

    name: Literal["mnist"] = "mnist"


class FashionMnistConfig(SplitConfig):
    """Fashion-MNIST's 28x28 articles of clothing, split as MNIST is."""

    loader: ClassVar[str] = "sweeps.datamodules.fashion_mnist:load"
    n_features: ClassVar[int] = 784

    name: Literal["fashion_mnist"] = "fashion_mnist"


class BlobsConfig(SplitConfig):
    """Blurred deltas, one image per pixel; `stripe` keeps every 27th image from the 11th on.

    The images are few and noiseless: by default all of them are used for both training and validation.
    """

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:blobs"
    n_features: ClassVar[int] = 784

    name: Literal["blobs"] = "blobs"
    subset: Literal["stripe", "full"] = "stripe"
    n_test: Annotated[int, Field(ge=0)] | None = 0
    validate_on: ValidateOn = "train"

    @property
    def may_have_labels(self) -> bool:
        """Never."""
        return False


class UniformConfig(SplitConfig):
    """Features drawn independently from U(0, 1) by `seed`, which also splits them."""

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:uniform"

    name: Literal["uniform"] = "uniform"
    n_samples: PositiveInt = 99_999
    n_features: PositiveInt = 84

    @property
    def may_have_labels(self) -> bool:
        """Never."""
        return False


class NormalConfig(SplitConfig):
    """Features drawn independently from N(`mean`, `standard_deviation`²) by `seed`, which also splits them."""

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:normal"

    name: Literal["normal"] = "normal"
    n_samples: PositiveInt = 139_336
    n_features: PositiveInt = 84
    mean: float = 0.0
    standard_deviation: PositiveFloat = 1.0

    @property
    def may_have_labels(self) -> bool:
        """Never."""
        return False


class RowsConfig(SplitConfig):
    """A few samples in the sweep file itself: by default all of them are used for both training and validation."""

    loader: ClassVar[str] = "sweeps.datamodules.synthetic:rows"

    name: Literal["rows"] = "rows"
    rows: Annotated[tuple[Annotated[tuple[float, ...], Field(min_length=1)], ...], Field(min_length=1)]
    n_test: Annotated[int, Field(ge=0)] | None = 0
    validate_on: ValidateOn = "train"

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

    name: Literal["array"] = "array"
    path: Path
    labels_path: Path | None = None
    inputs_key: str = "inputs"
    labels_key: str = "labels"
    image_shape: tuple[PositiveInt, PositiveInt] | None = None
    scale: PositiveFloat = 1.0

    @property
    def may_have_labels(self) -> bool:
        """Whether there is a place for them: an `.npy` file holds one array."""
        return self.path.suffix != ".npy" or self.labels_path is not None


DataConfig = Annotated[
    DigitsConfig
    | MnistConfig
    | FashionMnistConfig
    | BlobsConfig
    | UniformConfig
    | NormalConfig
    | RowsConfig
    | ArrayConfig,
    Field(discriminator="name"),
]
