"""A run whose folds are finished, with networks of random weights: nothing is trained."""

from pathlib import Path

import lightning
import lightning.pytorch as pl
import torch

from melanoma.files import sha256_of, write_json, write_text
from melanoma.run_folder import RunFolder
from melanoma.training.config import RunConfig


def finished_run(config: RunConfig, folds: tuple[int, ...] = (0, 1)) -> RunFolder:
    run = RunFolder(config.run_dir)
    write_text(run.config_yaml, config.resolved)
    for fold in folds:
        folder = run.fold(fold)
        folder.path.mkdir()
        _save_network(config, fold, folder.best_checkpoint)
        files = {folder.best_checkpoint.name: sha256_of(folder.best_checkpoint)}
        write_json(folder.done_json, {"fold": fold, "files": files})
    return run


def _save_network(config: RunConfig, fold: int, path: Path) -> None:
    data = config.data_module(fold)
    data.setup()
    pl.seed_everything(config.seed + fold, verbose=False)
    module = config.module(data)
    content = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    torch.save({**content, "pytorch-lightning_version": lightning.__version__}, path)
