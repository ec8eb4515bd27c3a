from pathlib import Path
from typing import Any

import pytest

from melanoma.errors import ConfigError
from melanoma.kaggle.job import KernelOptions, check_options


def options(**given: Any) -> KernelOptions:
    return KernelOptions(**{"id": "me/melanoma-b0", "config": "configs/baseline.yaml", **given})


def test_the_title_is_the_slug_by_default() -> None:
    check_options(options())
    assert options().full_title == "melanoma b0"
    check_options(options(title="Melanoma: B0!"))


def test_the_kernel_of_a_fold_has_its_number() -> None:
    one = options(title="Melanoma B0", fold="all", one_kernel_per_fold=True).of_fold(3)
    check_options(one)
    assert (one.id, one.full_title) == ("me/melanoma-b0-fold-3", "Melanoma B0 fold 3")
    assert (one.fold, one.one_kernel_per_fold) == ("3", False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"id": "melanoma"}, r"--id melanoma: not understood. Give owner/slug"),
        ({"id": "me/Melanoma"}, r"--id me/Melanoma: not understood"),
        ({"id": "me/melanoma/3"}, r"--id me/melanoma/3: not understood"),
        ({"id": "me/mela--noma"}, r"single hyphens"),
        ({"id": "me/b0"}, r"--id me/b0: b0 has 2 characters; Kaggle takes 5 to 50"),
        ({"id": "me/" + 51 * "a"}, r"has 51 characters"),
        ({"title": "Another"}, r"--title Another: Kaggle would call the kernel another, which is"),
        ({"title": "M B"}, r"--title M B: M B has 3 characters"),
        ({"datasets": ("wheels",)}, r"--datasets wheels: not understood"),
        ({"models": ("a/b/c/d",)}, r"--models a/b/c/d: not understood. Give owner/model"),
        ({"folds_csv": Path("no.csv")}, r"--folds-csv no.csv: no such file"),
        (
            {"mode": "predict", "config": None, "runs": ("a/b",), "one_kernel_per_fold": True},
            r"--one-kernel-per-fold: belongs to --mode train",
        ),
        ({"fold": "x"}, r"--fold x: not understood"),
    ],
)
def test_mistakes_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_options(options(**given))


def test_a_model_has_five_parts() -> None:
    check_options(options(models=("google/bert/tensorFlow2/base/3",)))
