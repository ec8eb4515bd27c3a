import pytest
from lightning.pytorch.utilities.exceptions import SIGTERMException

from melanoma.training import __main__ as process
from melanoma.training.processes import TERMINATED


def test_a_fold_that_was_told_to_end_is_not_taken_for_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def train_fold(*_: object) -> None:
        raise SIGTERMException

    monkeypatch.setattr(process, "train_fold", train_fold)
    assert process.main(["--run_dir", "x"]) == TERMINATED
