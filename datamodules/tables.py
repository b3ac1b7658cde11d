"""Load a user's own table as inputs and labels."""

from sweeps.datamodules.arrays import DatasetError, Split
from sweeps.datamodules.missing_values import count_missing
from sweeps.datamodules.own_data_config import TableConfig, expanded
from sweeps.datamodules.splits import Source
from sweeps.datamodules.table_files import read_table
from sweeps.datamodules.table_fitting import fit_encoding


def load_table(config: TableConfig) -> Source:
    """Load the table that `config` names, with NaN for missing values. Raises DatasetError.

    With `missing: error`, missing values are such an error, which reports them by column and by row.
    """
    path = expanded(config.path)
    table = read_table(path)
    encoding = fit_encoding(table, config)
    inputs, labels = encoding.encode(table), encoding.encode_labels(table)
    missing = count_missing(inputs, encoding)
    if missing.n_empty:
        raise DatasetError(
            f"each row of {path} must have a value in some column of features; {missing.n_empty:,} rows have none, the "
            f"first is row {next(iter(missing.by_row))}: remove them"
        )
    if config.missing == "error" and missing.n_missing:
        totals, *details = missing.lines()
        raise DatasetError(
            f"{path} must have no missing values; {totals}",
            *details,
            "set data.missing to mean (each becomes the mean of its column over the training split) or mask (the loss "
            "and the metrics leave them out), or remove those rows or columns",
        )
    return Source(
        path.name,
        Split(inputs, labels),
        n_classes=None if labels is None else len(encoding.classes),
        table=encoding,
        missing=missing,
    )
