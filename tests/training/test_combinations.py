"""Options that are drawn together train, or are refused before training."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from melanoma.errors import MelanomaError
from melanoma.run_folder import RunFolder
from melanoma.training.fold import train_fold
from melanoma.training.inputs import check_inputs
from melanoma.training.launch import check_call
from tiny_run import tiny_config

OPTIONS: Mapping[str, list[str]] = {
    "trainer.max_epochs": ["null", "1", "2", "3", "-1"],
    "trainer.max_steps": ["-1", "1", "3", "7"],
    "trainer.min_epochs": ["1", "2"],
    "trainer.limit_train_batches": ["1", "2", "0.5", "1.0", "0.01"],
    "trainer.limit_val_batches": ["1", "2", "0.5", "1.0", "0.01"],
    "trainer.limit_predict_batches": ["1", "1.0"],
    "trainer.overfit_batches": ["0", "2", "0.5"],
    "trainer.val_check_interval": ["1", "2", "3", "0.5", "1.0", "50"],
    "trainer.check_val_every_n_epoch": ["1", "2", "null"],
    "trainer.accumulate_grad_batches": ["1", "2", "3"],
    "trainer.gradient_clip_val": ["null", "0", "1.0"],
    "trainer.gradient_clip_algorithm": ["norm", "value"],
    "trainer.num_sanity_val_steps": ["0", "2", "-1"],
    "trainer.log_every_n_steps": ["1", "50"],
    "trainer.precision": ["32-true", "64-true", "16-true", "null"],
    "trainer.enable_progress_bar": ["true", "false"],
    "trainer.deterministic": ["true", "false", "warn"],
    "trainer.detect_anomaly": ["true"],
    "trainer.inference_mode": ["true", "false"],
    "trainer.profiler": ["simple"],
    "trainer.barebones": ["true", "false"],
    "trainer.sync_batchnorm": ["true"],
    "trainer.reload_dataloaders_every_n_epochs": ["0", "1"],
    "trainer.fast_dev_run": ["false", "true", "2"],
    "trainer.logger": ["true", "false"],
    "data.batch_size": ["1", "2", "3", "4", "16", "64"],
    "data.sampling": ["uniform", "balanced"],
    "data.augmentation": ["none", "light", "medium", "heavy"],
    "data.nuisances": ["true"],
    "data.unknown_diagnosis": ["class", "left_out"],
    "data.image_size": ["16", "24"],
    "model.target": ["binary", "diagnosis"],
    "model.metadata": ["true", "false"],
    "model.loss": ["bce", "focal", "cross_entropy"],
    "model.optimizer": ["adamw", "sgd", "adam"],
    "model.schedule": ["cosine", "step", "plateau", "constant", "onecycle"],
    "model.warmup_epochs": ["0", "1", "5"],
    "model.step_epochs": ["1", "9"],
    "model.freeze_epochs": ["0", "1", "9"],
    "model.layer_decay": ["0.5"],
    "model.ema_decay": ["0.9"],
    "model.fused_optimizer": ["true", "false"],
    "model.views": ["1", "8"],
    "model.mixup_alpha": ["0.4"],
    "model.cutmix_alpha": ["1.0"],
    "model.label_smoothing": ["0.1"],
    "model.drop_path": ["0.1"],
    "early_stopping_patience": ["1", "2"],
    "top_k": ["1", "3"],
    "photographs": ["0", "2"],
    "checkpoint_every_n_steps": ["1", "3"],
}

COMBINATIONS = st.lists(
    st.sampled_from(sorted(OPTIONS)), min_size=2, max_size=8, unique=True
).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(OPTIONS[name]) for name in names})
)


@pytest.mark.long
@settings(max_examples=25, suppress_health_check=list(HealthCheck))  # its folders are only read
@given(drawn=COMBINATIONS)
def test_options_train_together_or_are_refused_before(
    competition: Path, folds_csv: Path, drawn: dict[str, str]
) -> None:
    if drawn.get("trainer.max_epochs") == "null" and drawn.get("trainer.max_steps", "-1") == "-1":
        drawn = {**drawn, "trainer.max_steps": "7"}  # else Lightning trains a thousand epochs
    options = [f"--{name}={value}" for name, value in drawn.items()]
    with TemporaryDirectory() as folder:
        try:
            config = tiny_config(competition, folds_csv, *options, f"--run_dir={folder}/run")
            check_call(config, [0])
            check_inputs(config, [0])
        except MelanomaError:
            return
        except SystemExit as refusal:  # the parser's own
            if refusal.code != 2:
                raise
            return
        result = train_fold(config, 0)
        if result is None:
            assert config.trainer["fast_dev_run"]
        else:
            assert RunFolder(config.run_dir).fold(0).is_done
