"""The trained networks of a run's folds, as they were when training left them."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from melanoma.errors import RunError
from melanoma.files import sha256_of
from melanoma.metadata import MetadataStatistics
from melanoma.models.fold_ensemble import FoldEnsemble
from melanoma.models.module import MelanomaModule
from melanoma.run_folder import FoldFolder


def load_ensemble(folders: Sequence[FoldFolder], table: pd.DataFrame) -> FoldEnsemble:
    """Load the network that each fold predicts with, ready for the photographs of a table.

    Args:
        folders: Of finished folds.
        table: A row per photograph, with whatever metadata there is.

    Raises:
        RunError: If a checkpoint is missing, or is not what training left.
    """
    members = [_load(folder) for folder in folders]
    return FoldEnsemble(members, [_metadata(member, table) for member in members]).eval()


def _load(folder: FoldFolder) -> MelanomaModule:
    path = folder.predicting_checkpoint
    remedy = "Train that fold again with scripts/train_folds.py --overwrite."
    if not path.is_file():
        raise RunError(f"{path}: no such file. {remedy}")
    if sha256_of(path) != folder.read_done().get("files", {}).get(path.name):
        raise RunError(
            f"{path} is damaged or was replaced: its checksum is not the one in "
            f"{folder.done_json}. {remedy}"
        )
    return MelanomaModule.load_from_checkpoint(path, map_location="cpu", weights_only=True)


def _metadata(member: MelanomaModule, table: pd.DataFrame) -> Tensor | None:
    if not member.hparams["metadata"]:
        return None
    statistics = MetadataStatistics.from_dict(member.hparams["metadata_statistics"])
    return torch.from_numpy(statistics.transform(table))
