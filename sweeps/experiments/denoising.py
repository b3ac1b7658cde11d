"""What corruption and depth contribute: the denoising autoencoders of the Deep Learning Tutorials, single and stacked.

Answer: with many units, corruption turns noisy or local filters into strokes; stacked and fine-tuned on labels, such
layers classify MNIST with an error near 1.4 %. Layer sizes are set in one place here: in the published code, a second
default overrode every change of them.
"""

from itertools import pairwise

from sweeps.experiments.claims import Claim, ClaimResult, RecipeVariant, median
from sweeps.experiments.trained_sweep import TrainedSweep, TrainedTrial
from sweeps.models.metrics import filter_structure

CLEAN_500, NOISY_500 = RecipeVariant("da-500-c0"), RecipeVariant("da-500-c30")
CLEAN_50, NOISY_50 = RecipeVariant("da-50-c0"), RecipeVariant("da-50-c30")
LARGE = RecipeVariant("sda-1000x3")
OTHERS = (RecipeVariant("sda-500x3"), RecipeVariant("sda-200-50"), RecipeVariant("sda-50-50"))


def _gaps(clean: TrainedSweep, noisy: TrainedSweep) -> tuple[float, ...]:
    """Return, for each seed, how much more structured the filters are with corruption than without."""
    shape = clean.arrays.image_shape
    assert shape is not None

    def structure(trial: TrainedTrial) -> float:
        return filter_structure(trial.filters, shape)

    pairs = zip(clean.values(structure), noisy.values(structure), strict=True)
    return tuple(corrupted - plain for plain, corrupted in pairs)


def _more_structured(clean: TrainedSweep, noisy: TrainedSweep) -> ClaimResult:
    gaps = _gaps(clean, noisy)
    count = sum(gap > 0 for gap in gaps)
    return ClaimResult(f"{count} of {len(gaps)}, median gap {median(gaps):.3f}", gaps, count >= 4)


def _smaller_gap(*sweeps: TrainedSweep) -> ClaimResult:
    small, large = median(_gaps(*sweeps[:2])), median(_gaps(*sweeps[2:]))
    return ClaimResult(f"median gap {small:.3f}, {large:.3f} with 500", (small, large), small < large)


def _test_error(sweep: TrainedSweep) -> ClaimResult:
    error = sweep.best.test_metrics()["test/classification_error"]
    return ClaimResult(f"{error:.2%}", (error,), error <= 0.013)


def _valid_error(sweep: TrainedSweep) -> ClaimResult:
    error = sweep.best.metric("valid/classification_error")
    return ClaimResult(f"{error:.2%}", (error,), None)


def _minutes(sweep: TrainedSweep) -> ClaimResult:
    minutes = sweep.best.minutes
    return ClaimResult(f"{minutes:.1f} min", (minutes,), minutes <= 30)


def _shapes(sweep: TrainedSweep) -> ClaimResult:
    """Require the layer sizes of the sweep file in every layer's W, inputs × units; show the test error as well."""
    encoder_sizes = sweep.result.config.model.encoder_sizes
    sizes = (sweep.arrays.n_features, *encoder_sizes)
    shapes = [tuple(reversed(weight.shape)) for weight in sweep.best.network.weights()][: len(encoder_sizes)]
    error = sweep.best.test_metrics()["test/classification_error"]
    words = ", ".join(f"{n_inputs}×{n_units}" for n_inputs, n_units in shapes)
    return ClaimResult(f"{words}; test error {error:.2%}", (error,), shapes == list(pairwise(sizes)))


CLAIMS = (
    Claim(
        "500 units: filters more structured at 30 % corruption than at 0",
        "strokes in place of noise",
        "4 of 5",
        (CLEAN_500, NOISY_500),
        _more_structured,
    ),
    Claim(
        "50 units: gap in structure",
        "hardly a difference",
        "below that of 500 units",
        (CLEAN_50, NOISY_50, CLEAN_500, NOISY_500),
        _smaller_gap,
    ),
    Claim("test error", "1.3 %", "at most 1.3 %", (LARGE,), _test_error),
    Claim("valid error", "1.39 %", "", (LARGE,), _valid_error),
    Claim("time to train, two cores", "17 hours of 2010", "at most 30 min", (LARGE,), _minutes),
    *(
        Claim("shapes of W", "the change of size had no effect", "as configured", (sweep,), _shapes)
        for sweep in (LARGE, *OTHERS)
    ),
)
