from pathlib import Path

import pytest
from lightning.pytorch.utilities.exceptions import SIGTERMException

from melanoma.command_line import TERMINATED
from melanoma.training import __main__ as process


def test_a_fold_that_was_told_to_end_is_not_taken_for_finished(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def train_fold(*_: object) -> None:
        raise SIGTERMException

    monkeypatch.setattr(process, "train_fold", train_fold)
    assert process.main(["--run_dir", str(tmp_path / "x")]) == TERMINATED
