"""How the samples of a data set are split: the settings that every data set takes."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sweeps.section import Section

MAX_SAMPLES = 10**9
Samples = Annotated[int, Field(gt=0, le=MAX_SAMPLES)]
SamplesOrNone = Annotated[int, Field(ge=0, le=MAX_SAMPLES)]
ValidateOn = Literal["valid", "train", "test"]


class SplitConfig(Section):
    """How samples are split; every data set takes these settings.

    `n_test` defaults to the published test set, else a fifth of the samples; `n_valid` to a sixth of the rest;
    `n_train` to all that remains. The three splits are disjoint and drawn by `seed`.
    `validate_on` names the split on which the `valid/...` metrics are measured: `train` for experiments that report the
    training error, `test` to reproduce published numbers that were validated on the test set. With either, there is no
    validation split and `n_valid` must be left out.
    """

    # (section) -> Source: the whole data set, before it is split.
    loader: ClassVar[str]
    # (section) -> SplitConfig: the settings that the loader and the split take. None: the section itself.
    settings_reader: ClassVar[str | None] = None
    # The setting that names the labels of a user's own data; empty if the data set decides.
    labels_setting: ClassVar[str] = ""
    # (section) -> str: which setting would give labels to data that were read without any. None: no setting can.
    label_adviser: ClassVar[str | None] = None

    n_train: Samples | None = Field(default=None, description="Training samples; by default all that remain.")
    n_valid: Samples | None = Field(
        default=None, description="Validation samples; by default a sixth of those left after the test set."
    )
    n_test: SamplesOrNone | None = Field(
        default=None, description="Test samples; by default the published test set, else a fifth of the samples."
    )
    validate_on: ValidateOn = Field(default="valid", description="Split on which the valid/ metrics are measured.")
    seed: int = Field(
        default=0, ge=0, le=2**63 - 1, description="Seed of the split, and of data that are drawn at random."
    )

    @property
    def may_have_labels(self) -> bool:
        """Whether labels are possible, as far as the section alone can say."""
        return True
