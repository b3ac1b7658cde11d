"""A local Ray requires a token of its own, and the environment keeps the settings for clusters."""

import os
from pathlib import Path

import pytest
import ray

from sweeps.cluster.session import connect


@pytest.mark.slow
def test_a_local_ray_requires_its_own_token_and_leaves_that_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._raylet import AuthenticationMode, AuthenticationTokenLoader, get_authentication_mode

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    (tmp_path / "token").write_text("of-a-cluster")
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    before = {name: os.environ.get(name) for name in names}

    def token() -> str:
        headers = AuthenticationTokenLoader.instance().get_token_for_http_header(ignore_auth_mode=True)
        return str(headers["authorization"])

    with connect("local"):
        assert {name: os.environ.get(name) for name in names} == before
        assert get_authentication_mode() == AuthenticationMode.TOKEN
        assert len(token()) == len("Bearer ") + 64
        inside = ray.get(ray.remote(lambda: dict(os.environ)).remote())
        assert f"Bearer {inside['RAY_AUTH_TOKEN']}" == token()
    assert not ray.is_initialized()
    assert get_authentication_mode() == AuthenticationMode.DISABLED
    assert token() == "Bearer of-a-cluster"
    assert not (tmp_path / ".ray").exists()
