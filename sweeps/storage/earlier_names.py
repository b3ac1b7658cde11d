"""Networks, checkpoints and layers under the names that version 0.1 gave them, when it wrote them with `torch.save`."""

from sweeps.storage.object_store import Place

_EARLIER = {"last.safetensors": "last.ckpt"}


def earlier_name(path: Place) -> Place:
    """Return where version 0.1 wrote what this version writes to `path`."""
    return path.with_name(_EARLIER.get(path.name, path.name.replace(".safetensors", ".pt")))


def stored(path: Place) -> Place | None:
    """Return `path`, or its earlier name if only that exists; None if neither does."""
    return next((candidate for candidate in (path, earlier_name(path)) if candidate.exists()), None)


def remove(path: Place) -> None:
    """Remove a file under either name."""
    for candidate in (path, earlier_name(path)):
        candidate.unlink(missing_ok=True)
