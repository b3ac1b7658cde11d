"""The settings of a packaged model, a JSON file beside its network: plain values that are checked before any use."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from sweeps.datamodules.own_data_config import Missing
from sweeps.datamodules.table_columns import Kind
from sweeps.datamodules.table_encoding import TableEncoding
from sweeps.errors import InputError, OutdatedModel

# The two files that `sweeps score` and `sweeps promote` read of a packaged model.
NETWORK, SETTINGS = Path("autoencoder/network"), Path("autoencoder/settings.json")
FORMAT = "autoencoder-sweeps package 1"
MAX_BYTES = 16 * 1024**2
# A table of 20,000 columns needs a fifth of them; each value that does not belong there costs half a kilobyte.
MAX_VALUES = 400_000
_MAX_ISSUES = 3

Position = Annotated[int, Field(ge=0)]


class _Plain(BaseModel):
    """Values of exactly the declared types; numbers must be finite, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ColumnSettings(_Plain):
    """A column of a table, as `Column.to_dict` returns it."""

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()


class TableSettings(_Plain):
    """The encoding of a table, as `TableEncoding.to_dict` returns it."""

    columns: tuple[ColumnSettings, ...]
    label_column: str | None
    classes: tuple[str, ...]
    drop_columns: tuple[str, ...]
    missing: Missing
    means: tuple[float, ...] | None


class PluginSettings(_Plain):
    """The plug-in that a network is built by: its name in the sweep file, its import path, and its source.

    `sha256` is that of the source when the model was promoted.
    """

    name: Annotated[str, Field(pattern=r"^[\w.: -]+\z", max_length=200)]
    path: Annotated[str, Field(pattern=r"^[\w.]+:\w+\z", max_length=200)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")]


class PackageSettings(_Plain):
    """What a packaged model needs besides its network.

    `columns` are those of each output in the one output tensor: the first, and the one after the last. Raw samples of
    `n_features` values are multiplied by `scale`. `table` is the encoding of the table that the network was trained on.
    `plugin` is that of a network of the user's own.
    """

    format: Literal["autoencoder-sweeps package 1"]
    n_features: PositiveInt
    columns: dict[str, tuple[Position, Position]]
    scale: Annotated[float, Field(gt=0)]
    takes_missing: bool
    table: TableSettings | None
    plugin: PluginSettings | None = None

    @property
    def encoding(self) -> TableEncoding | None:
        """The encoding of the table, if the network was trained on one."""
        return None if self.table is None else TableEncoding.from_dict(self.table.model_dump())


def read_settings(folder: Path) -> PackageSettings:
    """Read the settings of the packaged model in `folder`.

    Raises OutdatedModel if there are none, InputError if they are too large or not as `PackageSettings` describes.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise OutdatedModel(
            f"the model must have the file {SETTINGS}, and has none: it is of an earlier release or no model of "
            "`sweeps promote`; promote its trial again"
        )
    n_bytes = path.stat().st_size
    if n_bytes > MAX_BYTES:
        raise InputError(f"{SETTINGS} must have at most {MAX_BYTES} bytes, and has {n_bytes}: promote the trial again")
    text = path.read_bytes()
    if text.count(b",") > MAX_VALUES:
        raise InputError(f"{SETTINGS} must have at most {MAX_VALUES:,} values, and has more: promote the trial again")
    try:
        settings = PackageSettings.model_validate_json(text)
    except ValidationError as error:
        found = [f"{'.'.join(map(str, issue['loc']))}: {issue['msg']}" for issue in error.errors()[:_MAX_ISSUES]]
        raise InputError(
            f"{SETTINGS} must be settings in the format {FORMAT!r}, and is not ({'; '.join(found)[:500]}): promote the "
            "trial again"
        ) from None
    _check_table(settings)
    return settings


def _check_table(settings: PackageSettings) -> None:
    """Raise InputError unless the table has a feature, and a mean if it has any, for each value of a sample."""
    encoding = settings.encoding
    if encoding is None:
        return
    means = settings.n_features if encoding.means is None else len(encoding.means)
    if len(encoding.feature_names) != settings.n_features or means != settings.n_features:
        raise InputError(
            f"the table of {SETTINGS} must have {settings.n_features} features, as the network has, but has "
            f"{len(encoding.feature_names)} and {means} means: promote the trial again"
        )
