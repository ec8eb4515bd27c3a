from pathlib import Path

import pandas as pd

from melanoma.report.reading import read_material
from melanoma.report.text import closing_table, report_text
from whole_run import whole_run


def test_the_essentials_fit_into_a_terminal(competition: Path, folds_csv: Path) -> None:
    run = whole_run(competition, folds_csv)
    other = whole_run(competition, folds_csv, "other", shift=0.1)
    (run / "fold_1/done.json").unlink()
    text = report_text([run])
    assert "AUC, pooled" in text
    assert "1 of 2" in text
    assert "fold 1 not finished" in text.replace("\n  ", " ")
    assert "fold ranks" in report_text([run, other])
    assert max(map(len, report_text([other]).splitlines())) <= 120


def test_training_ends_with_a_line_per_fold_and_one_of_all(
    competition: Path, folds_csv: Path
) -> None:
    lines = closing_table(read_material([whole_run(competition, folds_csv)])).splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["fold", "0", "1", "all"]
    assert lines[3].split()[1:4] == ["40", "10", "10"]
    assert f"{0.025 ** (1 / 5):.4f} to 1.0000" in lines[4]  # perfect, on 5 patients


def test_training_on_folds_that_leak_ends_with_a_line_that_says_so(
    competition: Path, folds_csv: Path
) -> None:
    run = whole_run(competition, folds_csv)
    assert "leak" not in closing_table(read_material([run]))
    for table in (competition / "train.csv", *run.glob("fold_*/oof.csv")):
        rows = pd.read_csv(table, dtype=str).assign(patient_id="P")
        rows.to_csv(table, index=False)
    folds_csv.with_suffix(".json").unlink()
    assert (
        closing_table(read_material([run]))
        .splitlines()[-1]
        .startswith("warning: leak: 1 patients are in two folds")
    )
