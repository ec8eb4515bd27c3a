import numpy as np

from melanoma.ensemble.blending import blend_runs, blend_submissions
from melanoma.ensemble.text import blend_as_text, calibration_as_text, wrap
from simulated_runs import simulate_runs


def test_everything_is_shown_and_fits_a_terminal() -> None:
    runs = simulate_runs([0.5, 1.0, 1.5])
    blended = blend_runs(runs, "weighted", n_draws=20)
    text = blend_as_text(blended, runs.names, [0, 1, 2, 3, 4])
    assert max(map(len, text.splitlines())) <= 120
    assert "weighted, nested minus" in text
    assert f"run_2  {blended.blend.weights[2]:12.3f}" in text or "run_2" in text
    assert "Spearman's correlation" in text


def test_differences_have_the_sign_of_what_was_chosen() -> None:
    runs = simulate_runs([0.0, 2.0])
    blended = blend_runs(runs, "mean", n_draws=50)
    text = blend_as_text(blended, runs.names, [0, 1, 2, 3, 4])
    start = text.index("mean minus")
    guessing, good = text[start:].splitlines()[1:3]
    assert guessing.split()[:2] == ["run_0", f"{difference(blended, 0):+.4f}"]
    assert guessing.split()[1].startswith("+")
    assert good.split()[1].startswith("-")
    low, high = float(good.split()[2]), float(good.split()[4])
    assert low < difference(blended, 1) < high < 0


def difference(blended, run: int) -> float:  # type: ignore[no-untyped-def]
    return float(blended.rows[-1].pooled_auc - blended.rows[run].pooled_auc)


def test_one_run_has_a_table_alone() -> None:
    runs = simulate_runs([1.0])
    text = blend_as_text(blend_runs(runs, n_draws=20), runs.names, [0, 1, 2, 3, 4])
    assert "minus" not in text
    assert "Spearman" not in text
    assert "fold 4" in text


def test_calibration_errors_are_beside_those_of_calibrated_models() -> None:
    runs = simulate_runs([0.5, 1.0])
    blended = blend_runs(runs, "weighted", n_draws=20)
    text = calibration_as_text(blended.rows)
    assert text.startswith("calibration error of a perfectly calibrated model with the same")
    first, second, mean, ranks = blended.rows
    for row in (first, second, mean):
        found = f"{row.title} {row.calibrated_error:.4f} ({row.calibrated_error_high:.4f})"
        assert found in text.replace("\n  ", " ")
    assert ranks.title not in text
    assert text in blend_as_text(blended, runs.names, [0, 1, 2, 3, 4])
    assert calibration_as_text([ranks]) == ""


def test_submissions_have_weights_and_correlations() -> None:
    constant = np.array([[0.1, 0.9], [0.5, 0.5]])
    text = blend_as_text(blend_submissions(constant, "mean", [3, 1]), ["a", "b"], [])
    assert "a     0.750" in text
    assert text.splitlines()[-1].split() == ["2", "b", "-"]


def test_long_lines_are_broken() -> None:
    lines = wrap("word " * 60).splitlines()
    assert max(map(len, lines)) <= 120
    assert lines[1].startswith("  word")
