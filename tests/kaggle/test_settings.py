from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.errors import ConfigError
from melanoma.kaggle.job import (
    ACCELERATORS,
    Job,
    JobSettings,
    Requirement,
    check_sources,
    fill_job,
    parse_job,
)

CONFIG = "configs/baseline.yaml"


def settings(**given: Any) -> JobSettings:
    return JobSettings(**{"config": CONFIG, **given})


def blend(**given: Any) -> JobSettings:
    return JobSettings(**{"mode": "ensemble", "runs": ("me/fold-0",), **given})


def test_a_job_is_filled_from_few_settings() -> None:
    lightning = Requirement("lightning", "2.6.6", ">=2.5")
    job = fill_job(settings(), "folds/folds.csv", ["a.pth", "a.pth"], [lightning], "abc")
    assert job == Job(
        mode="train",
        run="baseline",
        config=CONFIG,
        folds_csv="folds/folds.csv",
        weights=("a.pth",),
        requirements=(lightning,),
        commit="abc",
    )
    assert parse_job(job.as_json()) == job
    assert job.time_budget_s == 41_400


def test_all_finished_folds_predict_and_one_fold_is_trained_by_default() -> None:
    predicting = JobSettings(mode="predict", runs=("me/trained",))
    assert (fill_job(settings()).folds, fill_job(predicting).folds) == ("0", "all")
    assert fill_job(replace(predicting, fold="1,2")).folds == "1,2"


def test_option_names_may_have_hyphens() -> None:
    job = fill_job(settings(overrides=("--data.image-size=96", "--model.backbone", "a-b")))
    assert job.overrides == ("--data.image_size=96", "--model.backbone", "a-b")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (settings(), "baseline"),
        (settings(run="other"), "other"),
        (blend(), "blend"),
        (blend(mode="predict"), "predicted"),
    ],
)
def test_a_run_has_a_name(given: JobSettings, name: str) -> None:
    assert given.run_name == name
    assert fill_job(given).run == name


@pytest.mark.parametrize("name", sorted(ACCELERATORS))
def test_half_an_hour_of_the_session_is_left(name: str) -> None:
    job = fill_job(settings(accelerator=name))
    assert job.time_budget_s == ACCELERATORS[name].session_s - 1800


def test_runs_are_of_kernels_and_of_datasets() -> None:
    assert fill_job(blend(run_datasets=("me/old-run",))).runs == ("me/fold-0", "me/old-run")


@given(folds=st.lists(st.integers(0, 99), min_size=1), budget=st.integers(1, 43_200))
def test_whatever_is_allowed_gives_a_job(folds: list[int], budget: int) -> None:
    text = ",".join(map(str, folds))
    job = fill_job(settings(fold=text, time_budget=f"{budget}s"))
    assert (job.folds, job.time_budget_s) == (text, budget)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (settings(mode="trane"), r"--mode trane: not known.* Did you mean train\?"),
        (settings(accelerator="p100"), r"--accelerator p100: not known. Choose one of cpu, t4x2"),
        (settings(config=None), r"--mode train: say which recipe with --config"),
        (blend(config=CONFIG), r"--mode ensemble: trains nothing, so that --config .* no meaning"),
        (
            blend(mode="predict", overrides=("--seed=1",)),
            r"predict: trains nothing, so that --seed=1",
        ),
        (blend(runs=()), r"--mode ensemble: no run to blend. Name the kernels"),
        (blend(mode="predict", runs=()), r"--mode predict: no run to predict with"),
        (settings(fold="0-2"), r"--fold 0-2: not understood. Give a number"),
        (settings(fold=""), r"--fold : not understood"),
        (settings(run="../x"), r"--run \.\./x: not understood"),
        (settings(overrides=("--run-dir=x",)), r"--run_dir=x: the kernel sets this .* Give --run:"),
        (settings(overrides=("--data.folds_csv", "x")), r"--data.folds_csv: .* Give --folds-csv"),
        (settings(overrides=("--data.data-dir=x",)), r"--data.data_dir=x: .* --competition and"),
        (settings(competition="My Competition"), r"--competition My Competition: .* its slug"),
        (settings(data="melanoma"), r"--data melanoma: not understood. Give owner/slug"),
        (blend(runs=("a/b", "https://www.kaggle.com/a/b")), r"--runs https.*: not understood"),
        (blend(run_datasets=("a/b/c",)), r"--run-datasets a/b/c: not understood"),
        (settings(time_budget="soon"), r"--time_budget soon: not understood"),
        (
            settings(time_budget="10h", accelerator="tpu"),
            r"--time_budget 10h: a session on tpu lasts 9 hours at most",
        ),
        (settings(weights=("a/b.pth",)), r"--weights a/b.pth: give the file's name alone"),
    ],
)
def test_mistakes_are_named(given: JobSettings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fill_job(given)


def test_going_on_needs_no_other_run() -> None:
    assert fill_job(blend(mode="predict", runs=(), resume=True)).resume


@given(st.text())
def test_what_passes_as_a_source_has_an_owner_and_a_slug(text: str) -> None:
    try:
        check_sources("--data", [text])
    except ConfigError:
        return
    owner, slug, *version = text.split("/")
    assert owner
    assert slug
    assert len(version) <= 1
