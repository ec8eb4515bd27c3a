import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from melanoma.ensemble.submission import build_submission
from melanoma.errors import ConfigError
from melanoma.folds.creation import create_folds
from melanoma.report.build import build_report
from noisy_run import noisy_run
from whole_run import whole_run

MOST_BYTES = 15_000_000


@pytest.fixture
def run(competition: Path, folds_csv: Path) -> Path:
    """Two folds whose predictions are neither perfect nor useless."""
    return noisy_run(competition, folds_csv, "whole", seed=0)


def html_of(runs: Sequence[Path], **options: Any) -> str:
    return build_report(runs, grad_cam=False, **options).read_text(encoding="utf-8")


def embedded(html: str, name: str) -> Any:
    found = re.search(
        rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.DOTALL
    )
    assert found
    return json.loads(found[1])


def without_scripts(html: str) -> str:
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_the_figures_are_the_ensemblers_to_the_last_digit(run: Path) -> None:
    build_submission([run])
    theirs = json.loads((run / "submission.json").read_text())
    ours = embedded(html_of([run]), "report-figures")
    for name in ("chosen", "rows", "weights", "runs", "folds", "method", "correlations"):
        assert ours[name] == theirs[name], name
    assert 0.5 < ours["chosen"]["pooled_auc"] < 1


def test_so_are_those_of_several_runs(run: Path, competition: Path, folds_csv: Path) -> None:
    runs = sorted([run, noisy_run(competition, folds_csv, "other", seed=1)])
    build_submission(runs, method="best", out_dir=run.parent / "blend")
    theirs = json.loads((run.parent / "blend/submission.json").read_text())
    html = html_of(runs, output=run.parent / "both.html")
    ours = embedded(html, "report-figures")
    for name in ("chosen", "rows", "weights", "runs", "method", "correlations", "leave_one_out"):
        assert ours[name] == theirs[name], name
    assert "Weights of the blend" in html
    assert "Correlation of the runs" in html


def test_it_is_one_file_that_can_load_nothing(run: Path) -> None:
    html = html_of([run])
    assert len(html.encode()) < MOST_BYTES
    page = without_scripts(html)
    assert "default-src 'none'; img-src data:" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert html.count("<script>") == 2
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')


def test_names_from_tables_are_text_and_nothing_else(competition: Path, tmp_path: Path) -> None:
    path = competition / "train.csv"
    train = pd.read_csv(path)
    train.loc[0, "anatom_site_general_challenge"] = "</script><script>alert(1)</script>"
    train.loc[4, "diagnosis"] = '"><img src=x onerror=alert(2)>'
    train.to_csv(path, index=False)
    folds_csv = tmp_path / "folds" / "folds.csv"
    create_folds(competition, n_folds=2, output=folds_csv)
    html = html_of([whole_run(competition, folds_csv)])
    assert html.count("<script>") == 2
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(2)&gt;" in html


def test_without_anything_but_targets_it_says_what_is_missing(
    competition: Path, tmp_path: Path
) -> None:
    path = competition / "train.csv"
    train = pd.read_csv(path)[["image_name", "target"]]
    train.assign(patient_id=train["image_name"]).to_csv(path, index=False)
    folds_csv = tmp_path / "folds" / "folds.csv"
    create_folds(competition, n_folds=2, output=folds_csv)
    run = whole_run(competition, folds_csv)
    for photograph in (competition / "jpeg/train").iterdir():
        photograph.unlink()
    (run / "fold_0/metrics.csv").unlink()
    (run / "fold_0/test.csv").unlink()
    page = without_scripts(html_of([run]))
    for said in (
        "train.csv has no column of sex, age, site.",
        "every image is of another patient",
        "the sizes of the photographs are not known",
        "1 of 1 train images are missing",
        "no readable metrics.csv of fold 0",
        "no test predictions of fold 0",
        "no readable run.json",
        "their balance cannot be shown",
    ):
        assert said in page, said


def test_with_missing_folds_it_says_so_first(run: Path) -> None:
    (run / "fold_1/done.json").unlink()
    page = without_scripts(html_of([run]))
    assert "1 of 2" in page
    assert page.index("fold 1 not finished") < page.index('id="folds"')


def test_one_class_in_a_group_is_said(competition: Path, tmp_path: Path) -> None:
    path = competition / "train.csv"
    train = pd.read_csv(path)
    others = train.index[train["target"] == 0][:8]
    train.loc[others, "anatom_site_general_challenge"] = "palms/soles"
    train.to_csv(path, index=False)
    folds_csv = tmp_path / "folds" / "folds.csv"
    create_folds(competition, n_folds=2, output=folds_csv)
    page = without_scripts(html_of([noisy_run(competition, folds_csv, "whole", seed=0)]))
    rows = [row for row in page.split("</tr>") if '<th scope="row">palms/soles' in row]
    assert "one class only: no AUC" in rows[-1]
    assert "too small: " in page


def test_a_run_that_was_copied_alone_has_a_report(run: Path, competition: Path) -> None:
    competition.rename(competition.with_name("elsewhere"))
    page = without_scripts(html_of([run]))
    assert "nothing is known of the images but their patients" in page
    assert page.count('class="absent"') > 10


def test_photographs_are_shown_with_what_is_known_of_them(run: Path) -> None:
    page = without_scripts(html_of([run]))
    assert page.count('src="data:image/jpeg;base64,') == 18
    assert page.count("<dt>diagnosis</dt><dd>melanoma</dd>") >= 6
    assert "Grad-CAM was left out (--grad-cam false)." in page


def test_networks_that_cannot_be_asked_are_no_obstacle(run: Path) -> None:
    config = json.loads((run / "config.yaml").read_text())
    assert "has no data.image_size" in build_report([run]).read_text(encoding="utf-8")
    config["data"]["image_size"] = 16
    (run / "config.yaml").write_text(json.dumps(config))
    page = without_scripts(build_report([run]).read_text(encoding="utf-8"))
    assert re.search(r"Grad-CAM: could not be made \(\w+Error: ", page)


def test_the_same_run_gives_the_same_bytes(run: Path) -> None:
    assert html_of([run]) == html_of([run])


def test_a_report_is_an_html_file(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.csv: a report is an \.html file\. Give"):
        build_report([run], output=Path("train.csv"))
