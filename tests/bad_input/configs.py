"""Options and configuration files: unknown, misspelt, out of range, contradictory."""

from pathlib import Path

from bad_input.case import (
    CREATE,
    DATA,
    PREDICT,
    PREPARE,
    SHOW,
    TRAIN,
    TRAIN_CSV,
    Case,
    both,
    holds,
    is_a_folder,
    value,
    without_column,
)

RECIPE = (*TRAIN, "--config=recipe.yaml")
DIAGNOSIS = "--model.target=diagnosis"


def out_of_range(option: str, remedy: str) -> Case:
    """An option as `name=value`; the message is to begin with it."""
    name, _, wrong = option.partition("=")
    pattern = rf"--{name}[ :].*{wrong.rstrip('0')}.*{remedy}"
    return Case(f"--{option}", (*TRAIN, f"--{option}"), pattern)


def misspelt(option: str, pattern: str = "") -> Case:
    name = option.partition("=")[0]
    return Case(f"--{option}", (*TRAIN, f"--{option}"), pattern or rf'"{name}"|--{name}|{name}')


FILES = [
    Case("no recipe", (*TRAIN, "--config=away.yaml"), r"away\.yaml"),
    Case(
        "a recipe that names a recipe",
        RECIPE,
        r"--config: no file",
        holds("recipe.yaml", "config: {}"),
    ),
    Case(
        "a recipe nested without end",
        RECIPE,
        r"parsing config|--config",
        holds("recipe.yaml", "[" * 5000),
    ),
    Case("loggers as a list", RECIPE, r"logger", holds("recipe.yaml", "logger: [csv]")),
    Case("the recipe is a folder", RECIPE, r"recipe\.yaml", is_a_folder(Path("recipe.yaml"))),
    Case(
        "the recipe is no YAML", RECIPE, r"parsing config", holds("recipe.yaml", "data: [1, 2\nx")
    ),
    Case(
        "the recipe is a list", RECIPE, r"config|recipe\.yaml", holds("recipe.yaml", "- 1\n- 2\n")
    ),
    Case(
        "the recipe is bytes",
        RECIPE,
        r"--config.*UTF-8",
        holds("recipe.yaml", bytes(range(256))),
    ),
    Case(
        "a section is empty",
        RECIPE,
        r"data.*(Give|Remove|Leave)",
        holds("recipe.yaml", "data: null\nseed: 3\n"),
    ),
    Case(
        "the recipe runs code",
        RECIPE,
        r"parsing config.*python/object/apply:os\.system",
        holds("recipe.yaml", "seed: !!python/object/apply:os.system ['touch broken-in']\n"),
    ),
    Case("an unknown section", RECIPE, "trianer", holds("recipe.yaml", "trianer: {max_epochs: 2}")),
    Case("an unknown key", RECIPE, "imagesize", holds("recipe.yaml", "data: {imagesize: 64}")),
    Case("a key of the wrong type", RECIPE, "seed", holds("recipe.yaml", "seed: [1]\n")),
    Case(
        "no recipe and no run folder",
        ("train_folds", "--fold=0"),
        r"no --config and no --run_dir: say which recipe",
    ),
]

UNKNOWN = [
    misspelt("data.imagesize=64"),
    misspelt("model.backbon=resnet18"),
    misspelt("trainer.max_epoch=3"),
    misspelt("folds=0"),
    misspelt("data.image_size=big"),
    misspelt("model.metadata=perhaps"),
    misspelt("model.loss=bcee"),
    misspelt("model.schedule=cosinus"),
    misspelt("model.target=cancer"),
    misspelt("data.augmentation=extreme"),
    misspelt("data.sampling=fair"),
    misspelt("trainer.max_epochs=many"),
    misspelt("model.backbone=resnet81", r"--model\.backbone resnet81: .*Did you mean resnet"),
    misspelt("model.backbone=efficientnet_pytorch:b0", r"efficientnet_pytorch:b0: .*List"),
    misspelt("model.optimizer=adamx", r"--model\.optimizer adamx: .*Did you mean adam"),
    misspelt("logger=tensorbord", r"--logger tensorbord: .*Choose from"),
    Case("--n-folds=five", (*CREATE, "--n-folds=five"), "n_folds"),
    Case("--scheme=fair", (*CREATE, "--scheme=fair"), "scheme"),
    Case("an unknown option of folds", (*CREATE, "--k=5"), "--k=5"),
    Case("an unknown option of copies", (*PREPARE, "--sise=5"), "--sise=5"),
    Case("an unknown option of prediction", (*PREDICT, "--view=5"), "--view=5"),
    Case("an unknown option of a batch", (*SHOW, "--images=5"), "--images=5"),
]

RANGES = [
    out_of_range("data.image_size=0", "must be at least 1"),
    out_of_range("data.batch_size=0", "must be at least 1"),
    out_of_range("data.num_workers=-1", "must not be negative"),
    out_of_range("model.learning_rate=0", "must be above 0"),
    Case(
        "--model.learning_rate=.nan", (*TRAIN, "--model.learning_rate=.nan"), "nan: must be above 0"
    ),
    Case(
        "--model.learning_rate=.inf", (*TRAIN, "--model.learning_rate=.inf"), "inf: must be above 0"
    ),
    out_of_range("model.dropout=1", "must be at least 0 and below 1"),
    out_of_range("model.drop_path=1", "must be at least 0 and below 1"),
    out_of_range("model.label_smoothing=1", "must be at least 0 and below 1"),
    out_of_range("model.metadata_dropout=1", "must be at least 0 and below 1"),
    out_of_range("model.ema_decay=1", "must be at least 0 and below 1"),
    out_of_range("model.focal_alpha=2", "must be between 0 and 1"),
    out_of_range("model.focal_gamma=-1", "must not be negative"),
    out_of_range("model.positive_weight=0", "must be above 0"),
    out_of_range("model.mixup_alpha=-1", "must"),
    out_of_range("model.cutmix_alpha=-1", "must"),
    out_of_range("model.mix_probability=2", "must"),
    out_of_range("model.metadata_sizes=[0,4]", ""),
    out_of_range("model.weight_decay=-1", "must not be negative"),
    out_of_range("model.layer_decay=0", "must be above 0"),
    out_of_range("model.warmup_epochs=-1", "must not be negative"),
    out_of_range("model.warmup_start=1", "must be"),
    out_of_range("model.step_epochs=0", "must be at least 1"),
    out_of_range("model.freeze_epochs=-1", "must not be negative"),
    misspelt("model.views=3"),
    out_of_range("early_stopping_patience=0", "must be at least 1"),
    out_of_range("top_k=0", "must be at least 1"),
    out_of_range("photographs=-1", "must not be negative"),
    out_of_range("parallel_folds=0", "must be at least 1"),
    out_of_range("parallel_folds=4096", "Give at most"),
    out_of_range("seed=-1", "must"),
    out_of_range("trainer.limit_val_batches=0", "cannot be switched off"),
    out_of_range("trainer.max_epochs=0", "at least"),
    out_of_range("trainer.max_epochs=-1", "needs an end"),
    Case("--trainer.max_epochs=-5", (*TRAIN, "--trainer.max_epochs=-5"), "max_epochs.*must"),
    misspelt("trainer.precision=7"),
    out_of_range("trainer.precision=bf16-mixed", "a single pixel before its last stride.*larger"),
    out_of_range("trainer.precision=16-true", "divide by zero. Choose bf16-true"),
    out_of_range("trainer.devices=0", ""),
    out_of_range("trainer.accelerator=abacus", ""),
    out_of_range("trainer.accelerator=tpu", "(requirements-tpu|none was found)"),
    out_of_range("trainer.accumulate_grad_batches=0", ""),
    out_of_range("trainer.val_check_interval=-1", ""),
    out_of_range("trainer.limit_train_batches=-1", ""),
    out_of_range("trainer.check_val_every_n_epoch=0", ""),
    out_of_range("trainer.strategy=alone", ""),
    Case("--n-folds=1", (*CREATE, "--n-folds=1"), r"--n-folds 1: .*at least 2"),
    Case("--n-folds=1000", (*CREATE, "--n-folds=1000"), r"for 1000 folds: .*Choose --n-folds"),
    Case("--repeats=0", (*CREATE, "--repeats=0"), r"--repeats 0: must be at least 1"),
    Case("--seed=-1 of folds", (*CREATE, "--seed=-1"), r"--seed -1: must"),
    Case("--size=0", (*PREPARE, "--size=0"), r"--size 0: must be between 1 and"),
    Case("--quality=101", (*PREPARE, "--quality=101"), r"--quality 101: must be between 1 and 100"),
    Case(
        "--num-workers=0 of copies", (*PREPARE, "--num-workers=0"), r"--num_workers 0: must be at"
    ),
    Case("--n-images=0", (*SHOW, "--n-images=0"), r"--n_images 0: must be at least 1"),
    Case("--epoch=-1", (*SHOW, "--epoch=-1"), r"--epoch -1: must not be negative"),
    Case("a batch as .jpg", (*SHOW, "--output=a.jpg"), r"--output a\.jpg: must end in \.png"),
    Case("--batch-size=0", (*PREDICT, "--batch-size=0"), r"--batch_size 0: must be at least 1"),
]

CONTRADICTIONS = [
    *(
        Case(
            f"a sweep with --{option}",
            ("sweep", "--config=recipe.yaml", f"--{option}=3"),
            rf"--{option.replace('-', '_')}: a sweep has several\. Give --{instead}",
            holds("recipe.yaml", "seed: 1"),
        )
        for option, instead in (("seed", "seeds"), ("run-dir", "runs-dir"))
    ),
    Case(
        "batches of one for batch normalisation",
        (*TRAIN, "--data.batch_size=1"),
        r"--data\.batch_size 1: test_resnet normalises over batches.*Give at least 2",
    ),
    Case(
        "a validation of one class",
        (*TRAIN, "--fold=1", "--data.batch_size=2", "--trainer.limit_val_batches=1"),
        r"--trainer\.limit_val_batches 1: the 2 images that fold 1 .* all of one class.*Give more",
    ),
    *(
        Case(
            f"--trainer.{name}={value}",
            (*TRAIN, f"--trainer.{name}={value}"),
            rf"{name} {value}: {why}",
        )
        for name, value, why in (
            ("limit_val_batches", 0.01, r"of the \d+ batches that fold 0 has, none is left\. Give"),
            (
                "limit_train_batches",
                0.01,
                r"of the \d+ batches that fold 0 has, none is left\. Give",
            ),
            ("val_check_interval", 50, r"fold 0 has \d+ batches an epoch, .*Give at most \d"),
            ("val_check_interval", 0.01, r"fold 0 has \d+ batches an epoch, .*Give at most \d"),
        )
    ),
    Case(
        "an interval of validations beyond the whole training",
        (*TRAIN, "--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=50"),
        r"val_check_interval 50: fold 0 has \d+ batches in all, .*Give at most \d",
    ),
    Case(
        "a callback that waits for what nobody logs",
        (
            *TRAIN,
            "--trainer.callbacks=[{class_path: EarlyStopping, init_args: {monitor: val_accuracy}}]",
        ),
        r"a trial step of training.*val_accuracy.*val_auc.*Leave out the option",
    ),
    Case(
        "focal loss of diagnoses", (*TRAIN, DIAGNOSIS, "--model.loss=focal"), r"--model\.loss focal"
    ),
    Case(
        "external images in stratified folds",
        (*CREATE, "--external=2019.csv", "--scheme=stratified"),
        r"--external needs folds that keep patients together",
    ),
    Case(
        "balanced on what there is not",
        (*CREATE, "--balance-on", "camera"),
        r"camera",
    ),
    Case(
        "balanced on more than the scheme can",
        (*CREATE, "--balance-on", "sex", "--scheme=grouped"),
        r"--balance-on: --scheme grouped",
    ),
    *(
        Case(
            f"--trainer.{option}",
            (*TRAIN, f"--trainer.{option}"),
            rf"--trainer\.{option.replace('=', ' ')}: {why}\. Leave it out",
        )
        for option, why in [
            ("limit_train_batches=0", "nothing would be trained"),
            ("limit_predict_batches=1", "every image has to be predicted"),
            ("overfit_batches=2", "it validates on what it learns"),
            ("barebones=true", "there would be no best checkpoint"),
        ]
    ),
    Case(
        "no epoch that is validated",
        (*TRAIN, "--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=2"),
        r"--trainer\.check_val_every_n_epoch 2: none of 1 epochs .*Give at most 1, or more",
    ),
    Case(
        "no checkpoints",
        (*TRAIN, "--trainer.enable_checkpointing=false"),
        r"--trainer\.enable_checkpointing false: .*Leave it on",
    ),
    Case(
        "no diagnoses to learn",
        (*TRAIN, DIAGNOSIS),
        r"input/tiny/train\.csv: no column diagnosis, .*Add it",
        both(without_column(TRAIN_CSV, "diagnosis"), lambda: Path("folds/folds.json").unlink()),
    ),
    Case(
        "an unknown diagnosis",
        (*TRAIN, DIAGNOSIS),
        r"input/tiny/train\.csv: diagnosis wart \(1\) is not in the map .*Rename",
        both(value(TRAIN_CSV, "diagnosis", 3, "wart"), lambda: Path("folds/folds.json").unlink()),
    ),
    Case(
        "no metadata to use",
        (*TRAIN, "--model.metadata=true"),
        r"train\.csv: none of the columns sex, age_approx, .*Add one",
        both(
            *(
                without_column(TRAIN_CSV, column)
                for column in ("sex", "age_approx", "patient_id", "anatom_site_general_challenge")
            ),
            lambda: Path("folds/folds.json").unlink(),
        ),
    ),
    Case(
        "an age that is none",
        (*TRAIN, "--model.metadata=true"),
        r"column age_approx: 'old' is not a number of years .*Correct",
        both(value(TRAIN_CSV, "age_approx", 3, "old"), lambda: Path("folds/folds.json").unlink()),
    ),
    Case(
        "drop path of a network without",
        (*TRAIN, "--model.backbone=vgg11", "--model.drop_path=0.1"),
        r"--model\.drop_path 0\.1: vgg11 has no stochastic depth\. Leave",
    ),
    Case(
        "gem of a transformer",
        (*TRAIN, "--model.backbone=test_vit", "--model.pooling=gem", "--data.image_size=160"),
        r"--model\.pooling gem: needs a convolutional network.*Choose",
    ),
    Case(
        "a fold file of somebody else",
        CREATE,
        r"new/folds\.csv exists and was not written by create_folds\.py .*Choose",
        holds("new/folds.csv", "image_name,fold\nmine,0\n"),
    ),
    Case(
        "folds into a folder",
        (*CREATE, f"--output={DATA}"),
        r"--output input/tiny: is a folder\. Give a file",
    ),
    Case(
        "copies of another size",
        PREPARE,
        r"new/copies: holds copies made with --size 99.*give another",
        holds("new/copies/prepare.json", '{"size": 99, "square": false, "quality": 95}'),
    ),
    Case(
        "a path of a folder is a file",
        (*CREATE, "--output=file/folds.csv"),
        r"file/folds\.csv cannot be written: .*(Check|Remove)",
        holds("file", "in the way"),
    ),
    Case(
        "half a photograph in a batch",
        RECIPE,
        "batch_size",
        holds("recipe.yaml", "data: {batch_size: 3.5}"),
    ),
]

CASES = [*FILES, *UNKNOWN, *RANGES, *CONTRADICTIONS]
