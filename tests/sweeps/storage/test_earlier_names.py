from pathlib import Path

from sweeps.storage import earlier_names


def test_files_are_found_and_removed_under_the_names_of_version_0_1(tmp_path: Path) -> None:
    for name, earlier in (
        ("best.safetensors", "best.pt"),
        ("last.safetensors", "last.ckpt"),
        ("0a1b.safetensors", "0a1b.pt"),
    ):
        path = tmp_path / name
        assert earlier_names.earlier_name(path) == tmp_path / earlier
        assert earlier_names.stored(path) is None
        (tmp_path / earlier).touch()
        assert earlier_names.stored(path) == tmp_path / earlier
        path.touch()
        assert earlier_names.stored(path) == path
        earlier_names.remove(path)
        assert list(tmp_path.iterdir()) == []
        earlier_names.remove(path)
