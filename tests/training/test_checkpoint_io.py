import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from lightning.pytorch.plugins.io import AsyncCheckpointIO
from lightning.pytorch.plugins.precision import MixedPrecision

from melanoma.errors import MelanomaError
from melanoma.run_folder import RunFolder
from melanoma.training.checkpoint_io import AtomicCheckpointIO, with_atomic_checkpoints
from melanoma.training.trainer import create_trainer
from tiny_run import tiny_config

SOURCE = str(Path(__file__).resolve().parents[2] / "src")
SAVE_FOREVER = """
import itertools, sys
import torch
from melanoma.training.checkpoint_io import AtomicCheckpointIO
for number in itertools.count():
    AtomicCheckpointIO().save_checkpoint({"x": torch.full((500_000,), number)}, sys.argv[1])
    print(number, flush=True)
"""


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "fold_0" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 3, "x": torch.arange(4)}, path)
    loaded = AtomicCheckpointIO().load_checkpoint(path, weights_only=True)
    assert loaded["step"] == 3
    assert torch.equal(loaded["x"], torch.arange(4))
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_full_disk_leaves_the_earlier_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    message = r"last.ckpt cannot be written: No space left .*\(8.* MB are needed, .* are free\)"
    with pytest.raises(MelanomaError, match=message):
        AtomicCheckpointIO().save_checkpoint({"step": 2, "x": torch.zeros(2_000_000)}, path)
    assert AtomicCheckpointIO().load_checkpoint(path, weights_only=True) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_failed_write_lets_go_of_the_bytes(tmp_path: Path) -> None:
    kept = []

    class Keeping(AtomicCheckpointIO):
        def write_content(self, checkpoint: dict[str, Any], file: BinaryIO) -> None:
            super().write_content(checkpoint, file)
            kept.append(file)

    (tmp_path / "last.ckpt").mkdir()
    with pytest.raises(MelanomaError) as caught:
        Keeping().save_checkpoint({"step": 1}, tmp_path / "last.ckpt")
    # BufferError, while somebody looks at them; the frames of the exception are still there.
    kept[0].close()
    assert caught.tb


def test_a_process_killed_while_it_saves_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    with subprocess.Popen(
        [sys.executable, "-c", SAVE_FOREVER, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": SOURCE},
    ) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    content = io.BytesIO(path.read_bytes())
    assert len(torch.load(content, weights_only=True)["x"].unique()) == 1


@pytest.mark.parametrize("plugins", [None, [], MixedPrecision("bf16-mixed", "cpu")])
def test_the_users_plugins_are_kept(plugins: Any) -> None:
    listed = with_atomic_checkpoints(plugins)
    assert isinstance(listed[-1], AtomicCheckpointIO)
    assert listed[:-1] == ([plugins] if plugins else [])


def test_a_way_of_saving_that_the_user_chose_stays() -> None:
    own = AsyncCheckpointIO()
    assert with_atomic_checkpoints([own]) == [own]


def test_the_trainer_of_a_fold_saves_this_way(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(competition, folds_csv)
    data = config.data_module(0)
    data.setup()
    trainer = create_trainer(config, 0, data)
    assert isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO)
    assert config.trainer["plugins"] is None
    assert not RunFolder(config.run_dir).fold(0).path.exists()
