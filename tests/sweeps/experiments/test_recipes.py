"""Quick versions of published experiments, trained as in a sweep but without Ray, and judged as `reproduce` judges."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from sweeps.config import SweepConfig, load
from sweeps.experiments import blobs, deep, denoising, identity, numpy_2x2
from sweeps.experiments.claims import Claim, ClaimResult, RecipeVariant
from sweeps.experiments.trained_sweep import TrainedSweep
from sweeps.models.diagnosis.findings import FindingName
from sweeps.models.metrics import filter_structure
from sweeps.tracking.results import SweepResult

pytestmark = pytest.mark.filterwarnings("ignore:(Found|You are using the) `dataloader_iter`")

RunHere = Callable[[SweepConfig], SweepResult]
Train = Callable[..., TrainedSweep]

UNIFORM = ("data.n_samples=9999", "data.n_train=6999", "data.n_valid=3000")


@pytest.fixture
def train(run_here: RunHere) -> Train:
    """Run a recipe, or a variant of it, with some settings changed."""

    def train(variant: RecipeVariant, *overrides: str) -> TrainedSweep:
        return TrainedSweep(run_here(load(variant.recipe, [*variant.overrides, *overrides])))

    return train


def result_of(claims: Sequence[Claim], what: str, *sweeps: TrainedSweep) -> ClaimResult:
    """The result of the one claim that starts with `what` and belongs to the first of these sweeps."""
    (claim,) = [c for c in claims if c.what.startswith(what) and c.experiment == sweeps[0].result.record.name]
    return claim.judge(*sweeps)


def test_nine_units_on_a_stripe_of_blobs_come_near_pca_and_look_at_the_stripe(train: Train) -> None:
    stripe = train(blobs.STRIPE, "search.training.seed={grid: [0, 1]}")
    assert result_of(blobs.CLAIMS, "PCA", stripe).reached
    assert result_of(blobs.CLAIMS, "MSE", stripe).reached
    assert result_of(blobs.CLAIMS, "filters", stripe).reached


def test_untrained_units_miss_the_claim(train: Train) -> None:
    stripe = train(blobs.STRIPE, "search.training.seed={grid: [0, 1]}", "training.epochs=1")
    assert result_of(blobs.CLAIMS, "MSE", stripe).reached is False
    assert result_of(blobs.CLAIMS, "PCA", stripe).reached


def test_nine_units_on_all_blobs_come_near_pca(train: Train) -> None:
    full = train(blobs.FULL, "training.epochs=40")
    assert result_of(blobs.CLAIMS, "PCA", full).reached
    assert result_of(blobs.CLAIMS, "MSE", full).reached


def test_a_penalty_of_a_half_is_diagnosed_as_collapsed_and_a_small_one_is_not(train: Train) -> None:
    one_half = train(blobs.ONE_HALF, "training.epochs=10")
    assert result_of(blobs.CLAIMS, "hidden_l1 = weight_l1", one_half).reached
    small = train(blobs.ONE_HALF, "training.epochs=10", "model.hidden_l1=1e-6", "model.weight_l1=1e-6")
    assert result_of(blobs.CLAIMS, "hidden_l1 = weight_l1", small).reached is False


def test_sparsity_grows_with_the_penalty(train: Train) -> None:
    rising = train(blobs.RISING, "training.epochs=20", "search={model.hidden_l1: {grid: [1e-6, 1e-3]}}")
    assert result_of(blobs.CLAIMS, "sparseness", rising).reached
    low, high = rising.values(lambda trial: trial.metric("valid/code_sparsity"))
    assert high > low + 0.1


def test_the_first_epochs_on_uniform_features_match_the_publication(train: Train) -> None:
    uniform = train(identity.UNIFORM, "training.epochs=3")
    assert result_of(identity.CLAIMS, "valid MSE in epochs 1 to 3", uniform).reached
    assert result_of(identity.CLAIMS, "weights on the diagonal", uniform).reached is False


def test_five_features_are_learned_exactly(train: Train) -> None:
    five = train(identity.FIVE, *UNIFORM, "training.epochs=20", "training.learning_rate=0.5")
    assert result_of(identity.CLAIMS, "5 features", five).reached


def test_identity_weights_have_no_loss(train: Train) -> None:
    assert result_of(identity.CLAIMS, "loss of weights", train(identity.IDENTITY, *UNIFORM)).reached


def test_features_that_hardly_vary_are_not_learned_and_diagnosed(train: Train) -> None:
    raw = train(identity.RAW, "training.epochs=2")
    assert raw.best.metric("valid/mse") < 1e-5
    assert result_of(identity.CLAIMS, "R² on raw features", raw).reached
    assert result_of(identity.CLAIMS, "diagnosis", raw).reached


def test_the_same_features_standardised_in_the_model_are_learned_by_the_saved_model_too(train: Train) -> None:
    standardised = train(identity.STANDARDISED, "training.epochs=3")
    assert result_of(identity.CLAIMS, "R² on raw values", standardised).reached
    assert FindingName.HARDLY_VARIES not in standardised.best.findings


def test_the_2x2_recipe_is_exact_where_the_question_was_stuck(train: Train) -> None:
    exact = train(numpy_2x2.RIGHT, "training.epochs=5", "search.training.seed={grid: [0]}")
    assert exact.best.metric("valid/mse") <= 1e-6
    assert result_of(numpy_2x2.CLAIMS, "MSE", exact).reached is False  # one seed is not nine
    faulty = train(numpy_2x2.FAULTY, "training.epochs=2", "search.training.seed={grid: [0, 1]}")
    assert result_of(numpy_2x2.CLAIMS, "MSE", faulty).reached is False  # two seeds are not ten
    assert min(faulty.values(lambda trial: trial.metric("valid/mse"))) >= 3.5e-3
    assert result_of(numpy_2x2.CLAIMS, "diagnosed", faulty).reached


def test_at_the_rate_of_the_question_the_right_gradient_is_at_the_column_mean_too(train: Train) -> None:
    posted = ["training.epochs=10", "training.optimizer=sgd", "training.learning_rate=0.001"]
    stuck = train(numpy_2x2.RIGHT, *posted, "search.training.seed={grid: [0]}")
    assert stuck.best.metric("valid/mse") == pytest.approx(0.00585, abs=0.00016)
    assert FindingName.COLUMN_MEAN in stuck.best.findings


def test_filters_of_denoising_autoencoders_are_compared_seed_by_seed(train: Train) -> None:
    two_seeds = "search.training.seed={grid: [0, 1]}"
    quick = ("data.name=digits", "training.epochs=2", "training.probe_samples=0", two_seeds)
    clean, noisy = train(denoising.CLEAN_50, *quick), train(denoising.NOISY_50, *quick)
    gaps = [
        filter_structure(corrupted.filters, (8, 8)) - filter_structure(plain.filters, (8, 8))
        for plain, corrupted in zip(clean.trials, noisy.trials, strict=True)
    ]
    more, smaller = (
        claim for claim in denoising.CLAIMS if claim.variants[0] in (denoising.CLEAN_500, denoising.CLEAN_50)
    )
    assert more.judge(clean, noisy).values == pytest.approx(gaps)
    assert min(gaps) > 0
    assert more.judge(clean, noisy).reached is False  # two seeds are not four of five
    assert smaller.judge(clean, clean, clean, noisy).reached
    assert smaller.judge(clean, noisy, clean, clean).reached is False


def test_the_shapes_of_a_stack_are_shown_with_its_test_error(train: Train) -> None:
    stack = train(RecipeVariant("sda-50-50"), "data.name=digits", "training.epochs=1", "model.pretraining.epochs=1")
    shapes = result_of(denoising.CLAIMS, "shapes", stack)
    assert shapes.ours.startswith("64×50, 50×50; test error ")
    assert shapes.reached
    assert (
        result_of(denoising.CLAIMS, "shapes", stack).values[0] == stack.best.test_metrics()["test/classification_error"]
    )


def test_a_stack_that_errs_too_often_misses_and_one_trained_in_time_does_not(train: Train) -> None:
    quick = ("data.name=digits", "model.hidden_sizes=[20, 20, 20]", "training.epochs=1", "model.pretraining.epochs=1")
    stack = train(denoising.LARGE, *quick)
    assert result_of(denoising.CLAIMS, "test error", stack).reached is False
    assert result_of(denoising.CLAIMS, "time", stack).reached
    assert result_of(denoising.CLAIMS, "valid error", stack).reached is None


def test_errors_of_deep_autoencoders_are_taken_on_the_test_split(train: Train) -> None:
    sweep = train(deep.LINEAR, "data.name=digits", "training.epochs=2", "training.probe_samples=0")
    tested = sweep.best.test_metrics()
    original, squares, pca = (
        claim.judge(sweep) for claim in deep.CLAIMS if claim.variants[0] in (deep.ORIGINAL, deep.THIRTY)
    )
    assert original.values == (tested["test/mse_over_pca"],)
    assert squares.values == (784 * tested["test/mse"],)
    assert pca.values == pytest.approx((squares.values[0] / original.values[0],))


@pytest.mark.slow
def test_a_hundred_epochs_on_uniform_features_give_the_published_identity(train: Train) -> None:
    uniform = train(identity.UNIFORM)
    results = [claim.judge(uniform) for claim in identity.CLAIMS if claim.variants == (identity.UNIFORM,)]
    assert len(results) == 4
    assert all(found.reached for found in results), results
    np.testing.assert_array_equal(uniform.best.filters.shape, (84, 84))
