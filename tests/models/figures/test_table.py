"""The table of figures: each row is complete."""

import subprocess
import sys

import pytest

from sweeps.models.figures.table import FIGURES, figures_from


@pytest.mark.parametrize("kind", FIGURES)
def test_every_figure_has_the_functions_its_row_names(kind: str) -> None:
    figure = FIGURES[kind]
    assert callable(figure.draw)
    assert not figure.measures or callable(figure.arrays)


def test_files_keep_their_published_names() -> None:
    assert FIGURES["filters"].file(3) == "filters/epoch-00003.png"
    assert FIGURES["loss_curve"].file() == "loss_curve.png"
    assert FIGURES["codes"].file() == "detailed/codes.png"


def test_only_figures_of_the_best_epoch_measure_the_network() -> None:
    others = [*figures_from("snapshot"), *figures_from("metrics")]
    assert not any(figure.measures for figure in others)


def test_importing_the_table_imports_nothing_heavy() -> None:
    program = (
        "import sys, sweeps.models.figures.table; print({'torch', 'numpy', 'PIL', 'matplotlib'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
