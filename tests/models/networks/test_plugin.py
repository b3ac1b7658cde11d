"""The adapter around networks of the user's own: preprocessing, initial weights, files, and what may be left out."""

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sweeps.models import saved_network, tensor_file
from sweeps.models.build import build_network, load_network, save_network
from sweeps.models.config import NetworkSettings, TrainingConfig
from sweeps.models.config.plugin import plugin_section
from sweeps.models.diagnosis.evidence import settings_of
from sweeps.models.diagnosis.examination import Examination
from sweeps.models.errors import ModelError
from sweeps.models.feature_statistics import feature_statistics
from sweeps.models.figures import arrays as figure_arrays
from sweeps.models.image_shape import SampleShape, as_images
from sweeps.models.metrics import References
from sweeps.models.networks.plugin import PluginNetwork
from sweeps.models.training.objectives import reconstruction

SHAPE = SampleShape(16, (4, 4))
X = torch.rand(12, 16, generator=torch.Generator().manual_seed(3))
STATISTICS = feature_statistics(X.numpy(), 1.0)


def section(name: str = "Conv", **settings: Any) -> NetworkSettings:
    full = f"plugin_networks:{name}"
    return plugin_section(full).model_validate({"name": full} | settings)


def network(name: str = "Conv", seed: int = 0, **settings: Any) -> PluginNetwork:
    model = section(name, **settings)
    built = build_network(model, input_size=SHAPE, n_classes=None, seed=seed, statistics=STATISTICS)
    assert isinstance(built, PluginNetwork)
    return built


def test_initial_weights_depend_on_the_seed_and_leave_the_global_generator() -> None:
    before = torch.get_rng_state()
    one = network(seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    again, other = network(seed=1), network(seed=2)
    assert torch.equal(one.module.into.weight, again.module.into.weight)
    assert not torch.equal(one.module.into.weight, other.module.into.weight)


@pytest.mark.parametrize("standardize", ["sample", "feature"])
def test_module_gets_standardised_values_and_the_network_returns_raw_ones(standardize: str) -> None:
    built, seen = network(standardize=standardize), []
    built.module.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    raw = 50 + 7 * X
    values = X if standardize == "feature" else raw
    activations = built(values)
    axis = 0 if standardize == "feature" else 1
    torch.testing.assert_close(seen[0].mean(axis), torch.zeros(seen[0].shape[1 - axis]), atol=1e-3, rtol=0)
    logits = built.module(seen[0]).logits
    if standardize == "feature":
        expected = STATISTICS.mean + STATISTICS.deviation * logits.detach().numpy()
    else:
        mean, deviation = raw.mean(1, keepdim=True), raw.std(1, keepdim=True, correction=0)
        expected = (mean + deviation * logits.detach()).numpy()
    np.testing.assert_allclose(activations.reconstruction.detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_output_activation_and_penalties_are_those_of_the_settings() -> None:
    built = network(output_activation="sigmoid", loss="bce", hidden_l1=0.5, weight_l2=0.25)
    logits = built.module(X).logits
    torch.testing.assert_close(built(X).reconstruction, logits.sigmoid())
    objective = reconstruction(built.section, built)
    loss, penalties = objective.terms(built(X), (X,))
    torch.testing.assert_close(loss, torch.nn.functional.binary_cross_entropy(logits.sigmoid(), X))
    maps, code = built.module(X).hidden
    weights = [built.module.convolution.weight, built.module.into.weight, built.module.back.weight]
    expected = 0.5 * (maps.abs().mean() + code.abs().mean()) / 2
    expected = expected + 0.25 * sum(weight.square().mean() for weight in weights) / 3
    torch.testing.assert_close(penalties, expected)


def test_missing_values_are_filled_before_the_module_sees_them() -> None:
    gaps = X.clone()
    gaps[0, 3] = torch.nan
    built = build_network(
        section(), input_size=SHAPE, n_classes=None, seed=0, statistics=feature_statistics(gaps.numpy(), 1.0)
    )
    assert bool(built(gaps).reconstruction.isfinite().all())


def test_code_size_is_that_of_the_settings_or_measured() -> None:
    assert network(code_size=5).code_size == 5
    assert section("Bare").code_size is None
    assert network("Bare").code_size == 3


def test_decode_is_the_modules_own() -> None:
    built = network(output_activation="sigmoid")
    torch.testing.assert_close(built.decode(built.encode(X)), built(X).reconstruction)
    with pytest.raises(ModelError, match=r"plugin_networks:Bare has no decode: define decode\(code\)"):
        network("Bare").decode(X)


def test_parameters_and_modules_are_not_taken_for_methods_but_a_module_may_decode() -> None:
    built = network("ParameterWeights")
    assert [weight.shape for weight in built.weights()] == [(3, 16), (16, 3)]
    torch.testing.assert_close(built.decode(built.encode(X)), built(X).reconstruction)
    other = network("Bare")
    other.module.weights = torch.nn.ParameterList([torch.ones(3)])
    assert [weight.shape for weight in other.weights()] == [(3, 16), (16, 3)]


def test_what_a_network_lacks_is_left_out_of_figures_and_diagnoses() -> None:
    built = network()
    assert (built.first_layer_filters(), built.encoder_weights()) == (None, [])
    assert figure_arrays.encoder_product(built, lambda _n: X) == {}
    assert figure_arrays.weights(built, lambda _n: X) == {}
    references = References(np.array([0.2, 0.1, 0.05]))
    objective = reconstruction(built.section, built)
    examination = Examination(built.section, TrainingConfig(), built, objective, references, X.mean(0).numpy(), 12)
    examination.begin((X,))
    examination.add_epoch(1, {"train/loss": 0.2, "valid/mse": 0.2})
    for finding in examination.findings((X,), (X,)):
        assert not {"model.activation", "model.initialization"} & finding.change.keys()


def test_a_diagnosis_changes_the_size_of_the_code_only_where_a_setting_decides_it() -> None:
    assert settings_of(section(), TrainingConfig()).size_setting == "model.code_size"
    assert settings_of(section("Bare"), TrainingConfig()).size_setting is None


@pytest.mark.parametrize("settings", [{}, {"standardize": "feature"}, {"channels": 2, "code_size": 7}])
def test_saved_network_is_loaded_exactly_with_the_shape_of_its_images(settings: dict[str, Any], tmp_path: Path) -> None:
    built, path = network(**settings), tmp_path / "n.safetensors"
    save_network(path, built.section, built)
    saved = saved_network.read(path, "plugin_networks:Conv")
    assert saved.model == built.section
    assert isinstance(saved.network, PluginNetwork)
    assert saved.network.shape == SHAPE
    assert torch.equal(saved.network(X).logits, built(X).logits)


def test_copy_is_a_network_of_its_own() -> None:
    built = network()
    copied = copy.deepcopy(built)
    with torch.no_grad():
        copied.module.into.weight.zero_()
    assert bool(built.module.into.weight.abs().sum() > 0)


ATTACK = "from pathlib import Path\nPath({marker!r}).touch()\nfrom plugin_networks import Bare as Innocent\n"


@pytest.mark.parametrize("allowed", [None, "plugin_networks:Conv", "shallow"])
def test_file_from_elsewhere_imports_no_module_that_it_names(
    allowed: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, path = tmp_path / "ran", tmp_path / "n.safetensors"
    (tmp_path / "module_of_an_attacker.py").write_text(ATTACK.format(marker=str(marker)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "module_of_an_attacker", raising=False)
    built = network("Bare")
    values: dict[str, Any] = tensor_file.loads(saved_network.dumps(built.section, built))
    values["model"]["name"] = "module_of_an_attacker:Innocent"
    path.write_bytes(tensor_file.dumps(values))
    with pytest.raises(ModelError, match="holds the network of the plug-in module_of_an_attacker:Innocent, whose code"):
        load_network(path, allowed)
    assert not marker.exists()
    load_network(path, "module_of_an_attacker:Innocent")  # the same file is read where a sweep names it
    assert marker.exists()


def test_file_of_a_plugin_that_has_changed_is_refused_in_one_line(tmp_path: Path) -> None:
    built, path = network(), tmp_path / "n.safetensors"
    values: dict[str, Any] = tensor_file.loads(saved_network.dumps(built.section, built))
    for changes, message in (
        ({"image_shape": [4, 5]}, "holds something else"),
        ({"image_shape": None}, "samples must be images"),
        ({"image_shape": [2, 8]}, None),
        ({"model": values["model"] | {"channels": 3}}, "and they differ: module.convolution"),
        ({"model": values["model"] | {"channels": 0}}, "holds something else"),
        ({"state_dict": {}}, "is missing"),
    ):
        path.write_bytes(tensor_file.dumps(values | changes))
        if message is None:
            load_network(path, "plugin_networks:Conv")
            continue
        with pytest.raises(ModelError, match=message) as refused:
            load_network(path, "plugin_networks:Conv")
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("image_shape", [(4, 6), (4, 6, 3), (3, 4, 6), (3, 3, 3)])
def test_samples_become_images_and_back(image_shape: tuple[int, ...]) -> None:
    n_features = int(np.prod(image_shape))
    shape = SampleShape(n_features, image_shape)
    samples: Tensor = torch.arange(2.0 * n_features).reshape(2, n_features)
    images = shape.as_images(samples)
    assert images.shape[1:] == shape.channels_first
    expected = as_images(samples.numpy(), image_shape)  # (n, height, width) or (n, height, width, 3)
    shown = images.permute(0, 2, 3, 1).squeeze(-1).numpy()
    np.testing.assert_array_equal(shown, expected)
    assert torch.equal(shape.as_features(images), samples)


def test_rows_are_no_images() -> None:
    with pytest.raises(ValueError, match="samples must be images, and are rows of 16 features"):
        _ = SampleShape(16).channels_first
