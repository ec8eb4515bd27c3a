"""How well `--method best` chooses, on simulated runs whose worth on new images is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import common  # noqa: F401 - the path to src
import numpy as np
import numpy.typing as npt
from scipy.special import expit

from melanoma.ensemble.choice import choose_method
from melanoma.ensemble.methods import METHODS
from melanoma.ensemble.nested import nested_blend
from melanoma.ensemble.table import Scoreboard
from melanoma.ensemble.variants import VariantBootstrap
from melanoma.metrics import PatientBootstrap, auc

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

N_FOLDS = 5
N_TEST = 20_000
# Standard deviations of the noise of logits: shared by all runs, by the networks of a run, by none.
SHARED, OF_RUN, OF_NETWORK = 0.7, 0.5, 0.4


@dataclass(frozen=True)
class Scenario:
    """Runs to blend.

    Attributes:
        name: Name of the scenario.
        n_images: Number of training images.
        n_positives: Number of positives among them.
        qualities: By run, how far a logit moves for a positive.
        offset: Standard deviation of a fold's level on the logit scale: uncalibrated networks.
    """

    name: str
    n_images: int
    n_positives: int
    qualities: Sequence[float]
    offset: float = 0.0


SCENARIOS = (
    Scenario("few positives, equal runs", 1_100, 121, [1.6] * 4),
    Scenario("many positives, equal runs", 6_000, 584, [1.6] * 4),
    Scenario("few positives, unequal runs", 1_100, 121, [1.0, 1.3, 1.6, 2.0]),
    Scenario("many positives, unequal runs", 6_000, 584, [1.0, 1.3, 1.6, 2.0]),
    Scenario("offset folds", 1_100, 121, [1.4, 1.6, 1.8], offset=0.8),
)


@dataclass(frozen=True)
class Simulated:
    """A table of runs with targets of new images; see `Predictions` for the shapes."""

    targets: Codes
    folds: Codes
    oof: Floats
    test_targets: Codes
    test: list[Floats]


def print_choices(n_simulated: int = 100, n_draws: int = 200) -> None:
    """Print a row per scenario: test AUC of the mean, gains over it, and the optimism of choosing.

    Args:
        n_simulated: Number of simulated tables per scenario.
        n_draws: Draws of the bootstrap within each choice.
    """
    head = ("scenario", "mean", "best method", "its gain", "gain", "share", "optimism", "estimated")
    print("{:30}{:>8}{:>14}{:>10}{:>9}{:>7}{:>10}{:>11}".format(*head))
    shares = []
    for scenario in SCENARIOS:
        tested, chosen, optimism, estimated = _simulate_choices(scenario, n_simulated, n_draws)
        gains = tested.mean(axis=0) - tested[:, 0].mean()
        best = int(gains.argmax())
        gain = float(np.mean(tested[np.arange(len(tested)), chosen] - tested[:, 0]))
        shares.append(gain / gains[best])
        print(
            f"{scenario.name:30}{tested[:, 0].mean():8.4f}{list(METHODS)[best]:>14}"
            f"{gains[best]:+10.4f}{gain:+9.4f}{shares[-1]:7.2f}{optimism:10.4f}{estimated:11.4f}",
            flush=True,
        )
    print(f"mean share of the best method's gain: {np.mean(shares):.2f}")


def _simulate_choices(
    scenario: Scenario, n_simulated: int, n_draws: int
) -> tuple[Floats, Codes, float, float]:
    """Test AUCs (n_simulated, n_methods), the method chosen each time, optimism and its estimate."""
    tested, scored, chosen, estimates = [], [], [], []
    random = np.random.default_rng(0)
    for _ in range(n_simulated):
        data = _simulate(scenario, random)
        patients = np.arange(len(data.targets))
        bootstrap = VariantBootstrap(PatientBootstrap(data.targets, patients, n_draws))
        board = Scoreboard(data.targets, data.folds, bootstrap)
        tested.append([])
        for name, method in METHODS.items():
            features = method.scale(data.oof, data.folds)
            board.add(nested_blend(method, features, data.targets, data.folds)[None], name)
            blend = method.fit(features, data.targets, data.folds)
            tested[-1].append(auc(data.test_targets, blend(method.on_test(data.test))))
        arguments = board.predictions, data.targets, data.folds, bootstrap
        choice = choose_method(board.rows, *arguments)
        scored.append([row.rank_auc for row in board.rows])
        chosen.append(board.rows.index(choice.row))
        estimates.append(choice.optimism)
    # What a method scores out of fold is known from all simulated tables.
    scores, places = np.array(scored), np.array(chosen)
    optimism = scores[np.arange(len(scores)), places] - scores.mean(axis=0)[places]
    return np.array(tested), places, float(optimism.mean()), float(np.mean(estimates))


def _simulate(scenario: Scenario, random: np.random.Generator) -> Simulated:
    n, share = scenario.n_images, scenario.n_positives / scenario.n_images
    targets = (np.arange(n) < scenario.n_positives).astype(np.int64)
    folds = np.empty(n, dtype=np.int64)
    for rows in (np.flatnonzero(targets == 1), np.flatnonzero(targets == 0)):
        folds[rows] = random.permutation(np.arange(rows.size) % N_FOLDS)
    test_targets = (np.arange(N_TEST) < share * N_TEST).astype(np.int64)
    shared, shared_test = (SHARED * random.normal(size=size) for size in (n, N_TEST))
    oof, test = [], []
    for quality in scenario.qualities:
        levels = scenario.offset * random.normal(size=N_FOLDS) - 3
        noise, noise_test = (OF_RUN * random.normal(size=size) for size in (n, N_TEST))
        own = OF_NETWORK * random.normal(size=n)
        own_test = OF_NETWORK * random.normal(size=(N_FOLDS, N_TEST))
        oof.append(expit(quality * targets + shared + noise + own + levels[folds]))
        seen = quality * test_targets + shared_test + noise_test
        test.append(expit(seen + own_test + levels[:, None]))
    return Simulated(targets, folds, np.array(oof), test_targets, test)
