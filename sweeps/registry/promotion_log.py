"""The log of promotions in SWEEPS_HOME."""


def recorded_package_digest(store_uri: str, model: str, version: str) -> str | None:
    """Return the SHA-256 of the package that was promoted as this version; None if this SWEEPS_HOME has no entry."""
    del store_uri, model, version
    return None
