"""The contract of plug-in networks: what keeps it passes, and each way to break it is found and named."""

import re
from typing import Any

import plugin_networks
import pytest

from sweeps.models.config.plugin import plugin_section
from sweeps.models.image_shape import SampleShape
from sweeps.models.plugin_contract.contract import network_issues
from sweeps.models.plugin_contract.rules import NEEDED, RULES
from sweeps.plugins import check_network

IMAGES = (4, 4)


def outcomes(name: str, settings: dict[str, Any] | None = None) -> dict[str, tuple[str, str]]:
    checks = check_network(f"plugin_networks:{name}", shape=IMAGES, **(settings or {}))
    return {check.name: (check.status, check.detail) for check in checks}


@pytest.mark.parametrize("name", ["Conv", "Bare", "Dropout", "Normalised"])
def test_network_that_keeps_the_contract_passes_every_rule(name: str) -> None:
    checks = check_network(f"plugin_networks:{name}", shape=IMAGES)
    assert len(checks) == 3 + len(RULES)
    skipped = [check.name for check in checks if check.status == "skipped"]
    assert skipped == (["its filters can be shown"] if name == "Conv" else [])


def test_class_itself_can_be_checked_with_settings() -> None:
    found = {check.name: check.detail for check in check_network(plugin_networks.Conv, shape=(4, 4, 3), code_size=5)}
    assert found["its output has the right shape"] == "a code of 5 units"
    assert found["it imports"] == "own settings: channels, code_size"


@pytest.mark.parametrize(
    ("name", "rule", "detail"),
    [
        ("Missing", "it imports", "plugin_networks has no Missing"),
        ("NoModule", "it imports", "must be a class derived from torch.nn.Module, and is the class NoModule"),
        ("OtherSettings", "it imports", "must have Settings derived from sweeps.plugins.NetworkSettings"),
        ("Named", "it imports", "must not have a setting called name"),
        ("Undescribed", "its settings are described", "width must have a description"),
        ("Raises", "it builds", "must take these settings and .* and raised RuntimeError: no such GPU"),
        ("Tuple", "its output has the right shape", r"must return Activations\(code=..., logits=...\), not tuple"),
        (
            "Narrow",
            "its output has the right shape",
            r"must return logits of the input's shape \(1, 16\), not \(1, 15\)",
        ),
        ("WrongCode", "its output has the right shape", "must return a code of code_size 3 units, not 2"),
        ("Unbounded", "its output is finite", "code must be finite|logits must be finite"),
        ("Unused", "each parameter gets a gradient", "the loss must depend on idle.weight, idle.bias"),
        ("Detached", "its penalties apply", "model.hidden_l1 must reach the encoder"),
        ("AtRandom", "evaluation is deterministic", "two evaluations must agree"),
        ("OverTheBatch", "a sample does not depend on its batch", "must not depend on its batch"),
        ("NumpyDropout", "training draws depend on the seed alone", "draw with torch only"),
        ("NumpyWeights", "its seed decides its initial weights", "training.seed must decide the initial weights"),
        ("FixedWeights", "its seed decides its initial weights", "must differ between seeds"),
        ("HiddenState", "it is saved and loaded exactly", "a loaded network must give the same output"),
        ("SharedWeights", "it can be copied", "a copy must not share parameters"),
        ("WrongFilters", "its filters can be shown", r"must return \(units, 16\), not \(3, 5\)"),
        ("NoWeights", "its penalties apply", r"weights\(\) must return"),
    ],
)
def test_network_that_breaks_a_rule_fails_it(name: str, rule: str, detail: str) -> None:
    found = outcomes(name)
    status, reason = found[rule]
    assert status == "failed", found
    assert re.search(detail, reason)
    assert "\n" not in reason


@pytest.mark.parametrize("name", ["Branching", "HalfFrozen", "MovingAverage"])
def test_network_that_cannot_pack_says_why_and_passes(name: str) -> None:
    status, detail = outcomes(name)["it packs with itself"]
    assert status == "skipped"
    assert detail.startswith("trials train one by one: ")


def test_network_that_cannot_be_exported_says_that_it_cannot_be_promoted() -> None:
    status, detail = outcomes("Branching")["it can be exported"]
    assert (status, detail.partition(",")[0]) == ("skipped", "it cannot be promoted")


def test_settings_of_the_check_are_validated() -> None:
    found = outcomes("Conv", {"channels": 0, "foo": 1})
    assert found["its settings are valid"][0] == "failed"
    assert "channels: Input should be greater than 0" in found["its settings are valid"][1]
    assert len(found) == 3


def test_what_needs_a_failed_rule_is_left_out() -> None:
    assert list(outcomes("Tuple"))[-1] == NEEDED[1].__name__.replace("_", " ")


def test_issues_of_a_sweep_name_the_network_once() -> None:
    narrow = plugin_section("plugin_networks:Narrow").model_validate({"name": "plugin_networks:Narrow"})
    conv = plugin_section("plugin_networks:Conv").model_validate({"name": "plugin_networks:Conv"})
    (issue,) = network_issues([narrow, narrow], SampleShape(16))
    assert issue.startswith("model: plugin_networks:Narrow.forward must return logits")
    (no_images,) = network_issues([conv], SampleShape(16))
    assert "samples must be images, and are rows of 16 features" in no_images
    assert network_issues([conv], SampleShape(16, (4, 4))) == []


def test_network_without_finite_output_is_refused_before_a_sweep_and_checked_no_further() -> None:
    found = outcomes("Unbounded")
    assert list(found)[-1] == "its output is finite"
    section = plugin_section("plugin_networks:Unbounded").model_validate({"name": "plugin_networks:Unbounded"})
    (issue,) = network_issues([section], SampleShape(16))
    assert "finite" in issue
