import numpy as np
import pandas as pd
import pytest

from melanoma.folds.balance import judge_folds

TRAIN = pd.DataFrame(
    {
        "image_name": list("abcdefgh"),
        "patient_id": ["p", "p", "q", "q", "r", "s", "t", "t"],
        "sex": ["m", "m", "f", None, "m", "f", "f", "f"],
        "target": [1, 0, 0, 0, 1, 0, 0, 0],
    }
)
GROUPS = np.array([0, 0, 1, 1, 2, 3, 4, 4])


def test_the_figures_by_hand() -> None:
    balance = judge_folds(TRAIN, np.array([0, 0, 0, 0, 1, 1, 1, 1]), GROUPS)
    assert balance.per_fold.to_dict("records") == [
        {"fold": 0, "images": 4, "patients": 2, "melanomas": 1, "melanoma_share": 25.0},
        {"fold": 1, "images": 4, "patients": 3, "melanomas": 1, "melanoma_share": 25.0},
    ]
    assert balance.split_patients == []
    assert balance.share_spread("sex") == pytest.approx(50.0)  # f: 1 of 4 against 3 of 4
    assert balance.strata_deviation == pytest.approx(
        100.0
    )  # both patients with one image in fold 1
    assert "LEAK" not in balance.leaks_as_text()
    assert balance.melanomas["sex"].to_dict("index") == {"m": {0: 1, 1: 1}}
    # Her with two images is in the one fold, him with one in the other.
    assert (balance.melanoma_spread("sex"), balance.melanoma_spread("patient size")) == (0, 1)
    assert balance.melanoma_floors == {"sex": 0, "patient size": 1}
    assert "melanomas with each value, spread: sex 0, patient size 1" in balance.as_text()


def test_leaks_are_named_and_images_in_no_fold_counted() -> None:
    balance = judge_folds(TRAIN, np.array([0, 1, 0, 0, 1, 1, -1, -1]), GROUPS)
    assert balance.split_patients == ["p"]
    assert balance.left_out == 2
    assert balance.leaks_as_text() == "LEAK: patients in two folds: p"


def test_a_duplicate_on_the_other_side_is_a_leak() -> None:
    joined = np.array([0, 0, 1, 1, 0, 3, 4, 4])
    balance = judge_folds(TRAIN, np.array([0, 0, 0, 0, 1, 1, 1, 1]), joined)
    assert balance.split_patients == ["p"]


def test_no_split_is_below_the_floor_of_a_share() -> None:
    # All six images with a missing sex are one patient's: one fold has six, the other none.
    train = pd.DataFrame(
        {
            "image_name": [f"i{row:02d}" for row in range(20)],
            "sex": [None] * 6 + ["m"] * 14,
            "target": [0, 1] * 10,
        }
    )
    groups = np.array([0] * 6 + list(range(1, 15)))
    balance = judge_folds(train, np.array([0] * 10 + [1] * 10), groups)
    assert balance.share_floors["sex"] == pytest.approx(60.0)
    assert balance.share_spread("sex") == pytest.approx(60.0)
    assert "sex 60.00 (one patient alone makes 60.00)" in balance.as_text()


def test_no_split_is_below_the_floor_of_melanomas() -> None:
    # Patient 0 has six melanomas on the back, two others one each: six against two in two folds.
    train = pd.DataFrame(
        {
            "image_name": [f"i{row:02d}" for row in range(20)],
            "anatom_site_general_challenge": ["back"] * 10 + ["arm"] * 10,
            "target": [1] * 8 + [0] * 12,
        }
    )
    groups = np.array([0] * 6 + list(range(1, 15)))
    balance = judge_folds(train, np.array([0] * 6 + [1] * 14), groups)
    site = "anatom_site_general_challenge"
    assert balance.melanoma_spread(site) == balance.melanoma_floors[site] == 4
    assert "site 4 (one patient alone makes 4), patient" in balance.as_text()
    # Of four folds, one has none.
    apart = judge_folds(train, np.array([0] * 6 + [1, 2] * 5 + [3] * 4), groups)
    assert apart.melanomas[site].to_numpy().tolist() == [[6, 1, 1, 0]]
    assert apart.melanoma_spread(site) == apart.melanoma_floors[site] == 6


def test_folds_without_a_melanoma_are_judged() -> None:
    balance = judge_folds(TRAIN.assign(target=0), np.array([0, 0, 0, 0, 1, 1, 1, 1]), GROUPS)
    assert balance.melanoma_spread("sex") == balance.melanoma_floors["sex"] == 0
