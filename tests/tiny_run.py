"""The smallest run there is: a tiny network on the tiny competition."""

from pathlib import Path

from melanoma.training.config import RunConfig, parse_config


def tiny_config(competition: Path, folds_csv: Path, *more: str) -> RunConfig:
    return parse_config(tiny_options(competition, folds_csv, *more))


def tiny_options(competition: Path, folds_csv: Path, *more: str) -> list[str]:
    run_dir = folds_csv.parents[1] / "runs" / "tiny"
    return [
        f"--run_dir={run_dir}",
        f"--data.data_dir={competition}",
        f"--data.folds_csv={folds_csv}",
        "--data.image_size=16",
        "--data.batch_size=4",
        "--data.num_workers=0",
        "--model.backbone=test_resnet",
        "--model.weights=none",
        "--model.learning_rate=3e-3",
        "--trainer.max_epochs=2",
        "--trainer.accelerator=cpu",
        "--trainer.precision=32-true",
        "--trainer.enable_model_summary=false",
        # Pictures are a third of the time that the smallest run takes.
        "--photographs=0",
        "--logger=csv",
        *more,
    ]
