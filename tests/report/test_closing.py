from pathlib import Path

import pytest

from melanoma.report.closing import close_run
from whole_run import whole_run


def test_a_finished_run_gets_a_table_and_a_report(
    competition: Path, folds_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = whole_run(competition, folds_csv)
    assert close_run(run) == run / "report.html"
    printed = capsys.readouterr().out
    assert "epoch" in printed
    assert f"report: {run / 'report.html'}" in printed


def test_an_unfinished_run_gets_none(
    competition: Path, folds_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = whole_run(competition, folds_csv)
    for fold in (0, 1):
        (run / f"fold_{fold}/done.json").unlink()
        assert close_run(run) is None
    assert capsys.readouterr().err == ""
    assert not (run / "report.html").exists()


def test_what_the_user_can_put_right_is_one_message(
    competition: Path, folds_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = whole_run(competition, folds_csv)
    (run / "report.html").mkdir()
    assert close_run(run) is None
    error = capsys.readouterr().err
    assert error.startswith("no report: ")
    assert "make it with scripts/report.py" in error
    assert "Traceback" not in error


def test_a_bug_does_not_cost_the_run(
    competition: Path,
    folds_csv: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("melanoma.report.build.make_page", fail)
    assert close_run(whole_run(competition, folds_csv)) is None
    error = capsys.readouterr().err
    assert "ZeroDivisionError: a bug" in error
    assert "The run is finished all the same" in error


def test_without_its_packages_there_is_no_report(
    competition: Path,
    folds_csv: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'plotly'", name="plotly")

    monkeypatch.setattr("melanoma.report.build.make_page", fail)
    assert close_run(whole_run(competition, folds_csv)) is None
    error = capsys.readouterr().err
    assert error.startswith("no report: plotly is not installed here.")
    assert "Traceback" not in error
