"""Commands about a submitted sweep send the code of its plug-ins, and no other module that its job names."""

import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest
from job_cluster import Cluster, job_of

from sweeps.cli.commands.remote import _plugins_here
from sweeps.config.plugin_source import NamedPlugin, find_source, plugin_named

PLUGIN = plugin_named("data", "sent_again:tiles")
PACKAGE = plugin_named("data", "sent_again_package:tiles")
SWEEP = "digits-20261130-112751-2102"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    path = tmp_path / "sent_again.py"
    path.write_text("tiles = None\n")
    invalidate_caches()
    return path


def sent(name: str, sha256: str, cluster: type[Cluster] = Cluster) -> list[NamedPlugin]:
    """Return what is sent if the metadata of a job name this plug-in with this checksum."""
    job = job_of(SWEEP)
    job.metadata |= {"sweeps.plugin.data": name, "sweeps.plugin.data.sha256": sha256}
    return _plugins_here(cluster(jobs=[job]), SWEEP)


def digest_of(plugin: NamedPlugin) -> str:
    return find_source(plugin).sha256()


@pytest.mark.usefixtures("module")
def test_code_is_sent_as_it_was_submitted() -> None:
    assert sent(PLUGIN.name, digest_of(PLUGIN)) == [PLUGIN]


@pytest.mark.usefixtures("module")
def test_code_is_sent_though_the_log_of_the_newest_job_is_lost() -> None:
    class HostLost(Cluster):
        def get_job_logs(self, job: str) -> str:
            raise RuntimeError(f"the host of {job} is lost")

    assert sent(PLUGIN.name, digest_of(PLUGIN), HostLost) == [PLUGIN]


def test_files_that_were_not_submitted_are_not_sent(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = module.parent / "sent_again_package"
    package.mkdir()
    (package / "__init__.py").touch()
    invalidate_caches()
    submitted = digest_of(PACKAGE)
    assert sent(PACKAGE.name, submitted) == [PACKAGE]
    (package / "secret.csv").write_text("password\n")
    assert sent(PACKAGE.name, submitted) == []
    assert "its source here differs from what was submitted" in capsys.readouterr().err


def test_other_code_is_sent_only_if_its_name_is_given(
    module: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    submitted = digest_of(PLUGIN)
    module.write_text("tiles = 1\n")
    for given in ("", "1", "another:tiles"):
        monkeypatch.setenv("SWEEPS_SEND_CHANGED_PLUGINS", given)
        assert sent(PLUGIN.name, submitted) == []
        line = capsys.readouterr().err
        assert "the data plug-in sent_again:tiles is not sent" in line
        assert line.endswith("or set SWEEPS_SEND_CHANGED_PLUGINS=sent_again:tiles to send it as it is now\n")
    monkeypatch.setenv("SWEEPS_SEND_CHANGED_PLUGINS", "another:tiles, sent_again:tiles")
    assert sent(PLUGIN.name, submitted) == [PLUGIN]
    assert capsys.readouterr().err == (
        "sweeps: the data plug-in sent_again:tiles is sent as it is now, and differs from what was submitted\n"
    )


def test_a_plugin_that_is_not_here_is_named(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    submitted = digest_of(PLUGIN)
    module.unlink()
    invalidate_caches()
    assert sent(PLUGIN.name, submitted) == []
    assert "so the cluster must have it installed: sent_again must be found" in capsys.readouterr().err


@pytest.mark.parametrize("name", [":tiles", "sub/secret:tiles", "..secret:tiles"])
def test_a_name_that_is_no_import_path_is_not_looked_up(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sent(name, "0" * 64) == []
    assert "must be an import path such as my_package.networks:MyNetwork" in capsys.readouterr().err
