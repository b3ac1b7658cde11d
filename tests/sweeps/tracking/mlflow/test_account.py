"""The account of a real MLflow server: with accounts, and without."""

from typing import Any

import pytest

from sweeps.errors import TrackingError
from sweeps.tracking.mlflow.account import account_name

pytestmark = pytest.mark.slow


def test_a_server_with_accounts_names_the_user_if_the_password_is_right(
    server_with_accounts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert account_name(server_with_accounts.uri) is None
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-long-secret")
    assert account_name(server_with_accounts.uri) == "admin"
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "guessed")
    with pytest.raises(TrackingError, match="must accept the credentials"):
        account_name(server_with_accounts.uri)


def test_a_server_without_accounts_names_nobody(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ceo")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "anything")
    assert account_name(server.uri) is None
