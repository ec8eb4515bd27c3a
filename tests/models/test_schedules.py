import pytest
import torch

from melanoma.errors import ConfigError
from melanoma.models.schedules import Schedule, ScheduleName


def rates(schedule: Schedule, total_steps: int = 40, epochs: float = 10) -> list[float]:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [weight], "lr": 2.0}])
    scheduler = schedule.of(optimizer, total_steps, epochs)["scheduler"]
    seen = []
    for _ in range(total_steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_cosine_warms_up_and_falls_to_zero() -> None:
    seen = rates(Schedule("cosine", warmup_epochs=1))
    assert seen[:4] == pytest.approx([0.5, 1.0, 1.5, 2.0])
    assert seen[3:] == sorted(seen[3:], reverse=True)
    assert seen[-1] < 0.01


def test_the_warm_up_may_start_above_zero() -> None:
    seen = rates(Schedule("constant", warmup_epochs=2, warmup_start=0.1))
    assert seen[0] == pytest.approx(2 * (0.1 + 0.9 / 8))
    assert seen[7:] == pytest.approx([2.0] * 33)


def test_steps_fall_to_a_tenth() -> None:
    seen = rates(Schedule("step", warmup_epochs=0, step_epochs=4))
    assert [seen[0], seen[15], seen[16], seen[32]] == pytest.approx([2, 2, 0.2, 0.02])


@pytest.mark.parametrize("name", ["cosine", "onecycle", "step", "constant"])
def test_a_training_that_ends_within_an_epoch_begins_as_a_whole_one(name: ScheduleName) -> None:
    whole = rates(Schedule(name, warmup_epochs=2, step_epochs=3), total_steps=40, epochs=10)
    part = rates(Schedule(name, warmup_epochs=2, step_epochs=3), total_steps=38, epochs=9.5)
    warm_up = 2 * 4
    assert len(part) == 38
    assert part[:warm_up] == pytest.approx(whole[:warm_up], rel=0.1)
    if name in ("step", "constant"):
        assert part == whole[:38]


def test_one_cycle_peaks_after_the_warm_up() -> None:
    seen = rates(Schedule("onecycle", warmup_epochs=3))
    assert max(seen) == pytest.approx(2.0, rel=0.01)
    assert seen.index(max(seen)) in (11, 12)
    assert seen[-1] < 0.01


@pytest.mark.parametrize("name", ["cosine", "onecycle", "step", "constant"])
def test_every_length_of_training_and_of_warm_up_has_rates(name: ScheduleName) -> None:
    wrong = []
    for total_steps in range(1, 25):
        for warmup in (0.0, 0.5, 1.0, 2.0, 30.0):
            for epochs in {1.0, total_steps / 4, float(total_steps)}:
                case = total_steps, warmup, epochs
                try:
                    seen = rates(Schedule(name, warmup_epochs=warmup), total_steps, epochs)
                except ZeroDivisionError:
                    wrong.append(case)
                    continue
                if len(seen) != total_steps or not all(0 <= rate <= 2 for rate in seen):
                    wrong.append(case)
    assert not wrong


def test_a_plateau_is_one_of_the_auc() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    found = Schedule("plateau").of(torch.optim.SGD([weight], lr=1.0), 10, 5)
    assert found["monitor"] == "val_auc"
    for score in (0.8, 0.7, 0.7, 0.7):
        found["scheduler"].step(score)
    assert found["scheduler"].optimizer.param_groups[0]["lr"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("cosin", {}, r"--model.schedule cosin: not known.* Did you mean cosine\?"),
        ("cosine", {"warmup_epochs": -1.0}, r"--model.warmup_epochs -1.0: must not be negative"),
        ("cosine", {"warmup_start": 1.0}, r"--model.warmup_start 1.0: must be in \[0, 1\)"),
        ("step", {"step_epochs": 0}, r"--model.step_epochs 0: must be at least 1"),
    ],
)
def test_settings_out_of_range_are_named(
    name: ScheduleName, settings: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Schedule(name, **settings)  # type: ignore[arg-type]
