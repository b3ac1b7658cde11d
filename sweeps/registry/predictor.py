"""The code of a packaged model, copied into it: MLflow runs it wherever mlflow, torch and numpy are installed.

It must not import this project. It reads `layout.json`, which `packaging` writes, and the exported network.
"""

import json
from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
import torch
from mlflow.pyfunc.model import PythonModel
from numpy.typing import NDArray

BATCH = 1024
Samples = NDArray[np.float32]


class Predictor(PythonModel):
    """An autoencoder: raw samples in, a data frame of named columns out."""

    def load_context(self, context: Any) -> None:
        """Load the exported network, the names of its outputs and, if it was trained on a table, its encoding."""
        layout = json.loads(Path(context.artifacts["layout"]).read_text())
        self._outputs, self._n_features, self._table = layout["outputs"], layout["n_features"], layout["table"]
        self._network = torch.export.load(context.artifacts["network"]).module()

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Return one row of outputs for each sample.

        `model_input` is a data frame with a column for each feature, or for each column of the table that the model was
        trained on; or an array or list of numbers, samples first. Numbers are converted to float32.
        """
        samples, index = self._samples(model_input)
        with torch.no_grad():
            batches = [
                self._network(torch.tensor(samples[start : start + BATCH])) for start in range(0, len(samples), BATCH)
            ]
        return pd.DataFrame(torch.cat(batches).numpy(), columns=self._outputs, index=index)

    def _samples(self, model_input: Any) -> tuple[Samples, Any]:
        """Return the samples, (rows, features), and the index of a data frame, else None."""
        if not isinstance(model_input, pd.DataFrame):
            samples, index = np.asarray(model_input, np.float32), None
        elif self._table is None:
            samples, index = model_input.to_numpy(np.float32), model_input.index
        else:
            samples, index = encoded(model_input, self._table), model_input.index
        if not len(samples) or samples.size != len(samples) * self._n_features:
            raise ValueError(
                f"samples must have the {self._n_features} values that the model was trained on, and have shape "
                f"{samples.shape}"
            )
        return samples.reshape(len(samples), -1), index


def encoded(frame: pd.DataFrame, table: dict[str, Any]) -> Samples:
    """Return the features of a table's rows, (rows, features), as `TableEncoding.encode` and `fill` do."""
    absent = [column["name"] for column in table["columns"] if column["name"] not in frame.columns]
    if absent:
        raise ValueError(f"the data frame must have the columns of the training data; it lacks {', '.join(absent)}")
    features: Samples = np.concatenate(
        [_features(frame[column["name"]], column) for column in table["columns"]], axis=1
    )
    if table["means"] is None:
        return features
    is_missing = np.isnan(features)
    is_filled = is_missing & ~is_missing.all(axis=1, keepdims=True)
    return np.where(is_filled, np.asarray(table["means"], np.float32), features)


def _features(values: pd.Series, column: dict[str, Any]) -> Samples:
    if column["kind"] == "numeric":
        try:
            numbers: Samples = pd.to_numeric(values).to_numpy(np.float32, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise ValueError(f"column {column['name']!r} must hold numbers: {error}") from error
        return numbers[:, None]
    texts = values.astype("string")
    hot = [(texts == category).to_numpy(np.float32, na_value=np.nan) for category in column["categories"]]
    features: Samples = np.stack(hot, axis=1)
    return features


mlflow.models.set_model(Predictor())
