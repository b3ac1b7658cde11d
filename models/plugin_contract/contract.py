"""The contract test of plug-in networks, which their authors run: `sweeps.plugins.check_network`."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from pydantic import ValidationError

from sweeps.errors import reason_of
from sweeps.models.config import NetworkConfig, NetworkSettings
from sweeps.models.config.plugin import plugin_section
from sweeps.models.errors import ModelError
from sweeps.models.image_shape import SampleShape
from sweeps.models.plugin_contract import rules
from sweeps.models.plugin_contract.subject import Skipped, Subject
from sweeps.plugin_checks import Check
from sweeps.plugin_import import PluginError

_MAX_REASON = 500


def check_network(
    network: str | type, /, *, shape: SampleShape | tuple[int, ...] = (28, 28), **settings: Any
) -> tuple[Check, ...]:
    """Check whether a plug-in network keeps its contract: one `Check` for each rule, in order.

    `network` is its class, import path or entry point. `shape` is that of a sample: (features,), (height, width) or, in
    colour, with the channels last or first. `settings` are those of a `model` section, as plain values. Rules that
    would fail for the same reason as an earlier one are left out.
    """
    name = network if isinstance(network, str) else f"{network.__module__}:{network.__qualname__}"
    if not isinstance(shape, SampleShape):
        shape = SampleShape(math.prod(shape), tuple(shape) if len(shape) > 1 else None)
    return tuple(_checks(name, settings, shape))


def network_issues(sections: Sequence[NetworkSettings], shape: SampleShape) -> list[str]:
    """Return a line for each plug-in network that cannot be trained on samples of a shape, after a few passes."""
    issues = []
    for section in sections:
        subject = Subject(section, shape)
        checks = [_outcome("model", partial(rule, subject)) for rule in rules.NEEDED]
        issues += [f"model: {check.detail}" for check in checks if check.status == "failed"][:1]
    return list(dict.fromkeys(issues))


def _checks(name: str, settings: dict[str, Any], shape: SampleShape) -> Iterator[Check]:
    """Yield the checks in order; stop where the rest would fail for the same reason."""
    try:
        declared = plugin_section(name)
    except PluginError as error:
        yield Check("it imports", "failed", str(error))
        return
    yield Check("it imports", "passed", f"own settings: {', '.join(_own_settings(declared)) or 'none'}")
    yield _outcome("its settings are described", partial(_settings_are_described, declared))
    try:
        section = declared.model_validate({"name": name} | settings)
    except ValidationError as error:
        details = [f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors(include_url=False)]
        yield Check("its settings are valid", "failed", "; ".join(details))
        return
    yield Check("its settings are valid", "passed")
    for rule in rules.RULES:
        check = _outcome(rule.__name__.replace("_", " "), partial(rule, Subject(section, shape)))
        yield check
        if rule in rules.NEEDED and check.status == "failed":
            return


def _outcome(name: str, rule: Callable[[], str | None]) -> Check:
    try:
        with torch.random.fork_rng(devices=[]):
            return Check(name, "passed", rule() or "")
    except Skipped as reason:
        return Check(name, "skipped", str(reason))
    except (ModelError, PluginError) as error:
        return Check(name, "failed", " ".join(str(error).split()))
    except Exception as error:  # code of the user's own may raise anything
        return Check(name, "failed", f"it raised {reason_of(error)[:_MAX_REASON]}")


def _own_settings(declared: type[NetworkSettings]) -> list[str]:
    """Return the names of a plug-in's own settings."""
    shared = {*NetworkConfig.model_fields, "name"}
    return [name for name in declared.model_fields if name not in shared]


def _settings_are_described(declared: type[NetworkSettings]) -> None:
    """Require a description of each setting of the plug-in's own: `sweeps explain` shows it."""
    bare = [name for name in _own_settings(declared) if not declared.model_fields[name].description]
    if bare:
        raise PluginError(f"{', '.join(bare)} must have a description: use Field(default, description=...)")
