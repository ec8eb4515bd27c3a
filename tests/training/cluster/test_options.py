from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.training import launch
from melanoma.training.config import parse_config
from tiny_run import tiny_config


def test_a_cluster_is_asked_for_with_hyphens_or_underscores_and_is_no_part_of_the_run() -> None:
    options = ["--launcher=ray", "--ray_address=head:6379", "--ray_cores=4", "--ray_gpus=1"]
    config = parse_config(["--run_dir=x", *options, "--ray_storage=s3://bucket/runs"])
    assert config.cluster.is_ray
    assert (config.cluster.address, config.cluster.cores) == ("head:6379", 4)
    assert (config.cluster.gpus, config.cluster.storage) == (1, "s3://bucket/runs")
    assert "ray" not in config.resolved
    assert config.resolved == parse_config(["--run_dir=x"]).resolved


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ray_address=a:1"], r"--ray_address is of the cluster: give it with --launcher ray"),
        (["--ray_storage=s3://x"], r"--ray_storage is of the cluster"),
        (["--launcher=ray", "--ray_cores=0"], r"--ray_cores 0: must be at least 1"),
        (["--launcher=ray", "--ray_gpus=-1"], r"--ray_gpus -1: must not be negative"),
        (["--launcher=ray", "--parallel_folds=2"], r"ray with --parallel_folds 2: Ray trains as m"),
        (["--launcher=ray", "--trainer.num_nodes=2"], r"ray with --trainer.num_nodes 2: Ray gives"),
    ],
)
def test_options_that_contradict_each_other_are_named(options: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(["--run_dir=x", *options])


def test_ray_and_torchrun_are_not_mixed(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(ConfigError, match=r"--launcher ray under torchrun: .* Start the script"):
        launch.train_folds(tiny_config(competition, folds_csv, "--launcher=ray"))
