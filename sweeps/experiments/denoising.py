"""What corruption and depth give: the denoising autoencoders of the Deep Learning Tutorials, single and stacked.

Answer: with many units corruption turns filters that are local or noise into strokes; stacked and fine-tuned on labels,
such layers classify MNIST with an error near 1.4 %. Sizes are set in one place here: in a write-up that varied them, a
second default overrode the change.
"""

from itertools import pairwise

from sweeps.experiments.claims import Claim, Outcome, Setup, median
from sweeps.experiments.trained_sweep import FinishedSweep, Trained
from sweeps.models.metrics import filter_structure

CLEAN_500, NOISY_500 = Setup("da-500-c0"), Setup("da-500-c30")
CLEAN_50, NOISY_50 = Setup("da-50-c0"), Setup("da-50-c30")
LARGE = Setup("sda-1000x3")
OTHERS = (Setup("sda-500x3"), Setup("sda-200-50"), Setup("sda-50-50"))


def _gaps(clean: FinishedSweep, noisy: FinishedSweep) -> tuple[float, ...]:
    """How much more structured the filters are with corruption than without, seed by seed."""
    shape = clean.arrays.image_shape
    assert shape is not None

    def structure(trial: Trained) -> float:
        return filter_structure(trial.filters, shape)

    pairs = zip(clean.values(structure), noisy.values(structure), strict=True)
    return tuple(corrupted - plain for plain, corrupted in pairs)


def _more_structured(clean: FinishedSweep, noisy: FinishedSweep) -> Outcome:
    gaps = _gaps(clean, noisy)
    count = sum(gap > 0 for gap in gaps)
    return Outcome(f"{count} of {len(gaps)}, median gap {median(gaps):.3f}", gaps, count >= 4)


def _smaller_gap(*sweeps: FinishedSweep) -> Outcome:
    small, large = median(_gaps(*sweeps[:2])), median(_gaps(*sweeps[2:]))
    return Outcome(f"median gap {small:.3f}, {large:.3f} with 500", (small, large), small < large)


def _test_error(sweep: FinishedSweep) -> Outcome:
    error = sweep.best.tested()["test/classification_error"]
    return Outcome(f"{error:.2%}", (error,), error <= 0.013)


def _valid_error(sweep: FinishedSweep) -> Outcome:
    error = sweep.best.metric("valid/classification_error")
    return Outcome(f"{error:.2%}", (error,), None)


def _minutes(sweep: FinishedSweep) -> Outcome:
    minutes = sweep.best.minutes
    return Outcome(f"{minutes:.1f} min", (minutes,), minutes <= 30)


def _shapes(sweep: FinishedSweep) -> Outcome:
    """Every layer's W, inputs × units, beside the sizes that the sweep file sets; and the error, for comparison."""
    encoder_sizes = sweep.result.config.model.encoder_sizes
    sizes = (sweep.arrays.n_features, *encoder_sizes)
    shapes = [tuple(reversed(weight.shape)) for weight in sweep.best.network.weights()][: len(encoder_sizes)]
    error = sweep.best.tested()["test/classification_error"]
    words = ", ".join(f"{n_inputs}×{n_units}" for n_inputs, n_units in shapes)
    return Outcome(f"{words}; test error {error:.2%}", (error,), shapes == list(pairwise(sizes)))


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
