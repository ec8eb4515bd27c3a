from pathlib import Path

import pytest
import torch

from melanoma.training import precision
from melanoma.training.precision import choose_precision
from melanoma.training.trainer import create_trainer
from tiny_run import tiny_config


def test_precision_follows_the_device(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_precision("tpu") == "bf16-mixed"
    for capability, expected in [((8, 0), "bf16-mixed"), ((7, 5), "16-mixed")]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda c=capability: c)
        assert choose_precision("cuda") == expected
    for has_bf16, expected in [(True, "bf16-mixed"), (False, "32-true")]:
        monkeypatch.setattr(precision, "_processor_multiplies_bf16", lambda h=has_bf16: h)
        assert choose_precision("cpu") == expected
        config = tiny_config(competition, folds_csv, "--trainer.precision=null")
        data = config.data_module(0)
        data.setup()
        assert create_trainer(config, 0, data).precision == expected
