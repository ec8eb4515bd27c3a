"""How far the printed score is from the truth, for the last epoch and for the best one."""

from itertools import product

import common  # noqa: F401 - the path to src
import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr

from melanoma.ensemble.epochs import honest_validations
from melanoma.ensemble.variants import VariantBootstrap
from melanoma.metrics import PatientBootstrap, auc

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

N_FOLDS, N_EPOCHS = 5, 20
# By name: images, positives, images of a patient.
SIZES = {"demo": (400, 81, 2), "isic2018": (1_101, 121, 1), "6,000 images": (6_000, 584, 8)}
# Standard deviations on the scale of logits: of a patient, an image, an image in one epoch.
OF_PATIENT, OF_IMAGE, OF_EPOCH = 0.4, 0.8, 0.3
# How far a positive's logit moves, at most, and how much less with each epoch after the tenth.
QUALITY, PEAK = 1.7, 10
# By name: the fall of the quality per epoch after its peak, which all folds share, and the standard
# deviation from epoch to epoch, which is a fold's own.
SCHEDULES = {"to zero": (0.0, 0.01), "constant": (0.01, 0.02)}


def print_flattery(n_simulated: int = 300, n_draws: int = 500) -> None:
    """Print, per size and kind of score, its bias and how often its 95 % interval holds the truth.

    The truth is the AUC, on infinitely many new patients, of the networks that are handed in: of each
    fold's last epoch, or of its own best.

    Args:
        n_simulated: Number of simulated runs per size.
        n_draws: Draws of each interval.
    """
    print(f"{'size':>14}{'rate':>10}{'score':>28}{'truth':>9}{'bias':>9}{'covered':>9}")
    for size, schedule in product(SIZES, SCHEDULES):
        for name, found in measure_flattery(size, schedule, n_simulated, n_draws).items():
            truth, bias, covered = found
            line = f"{size:>14}{schedule:>10}{name:>28}{truth:9.4f}{bias:+9.4f}{covered:9.3f}"
            print(line, flush=True)


def measure_flattery(
    size: str, schedule: str, n_simulated: int, n_draws: int
) -> dict[str, tuple[float, float, float]]:
    """The mean truth, bias and coverage of each kind of score, by its name; see `print_flattery`."""
    found: dict[str, list[tuple[float, float, bool]]] = {}
    random = np.random.default_rng(0)
    for _ in range(n_simulated):
        run = _SimulatedRun(*SIZES[size], *SCHEDULES[schedule], random)
        bootstrap = VariantBootstrap(PatientBootstrap(run.targets, run.patients, n_draws))
        for name, (predictions, truth) in run.scores().items():
            ends = bootstrap.interval(predictions)
            bias, holds = bootstrap.auc(predictions) - truth, ends.low <= truth <= ends.high
            found.setdefault(name, []).append((truth, bias, holds))
    return {name: tuple(np.mean(scores, axis=0)) for name, scores in found.items()}


class _SimulatedRun:
    """Validation logits of every epoch of five folds, and the true AUC of each network."""

    def __init__(
        self,
        n_images: int,
        n_positives: int,
        per_patient: int,
        fall: float,
        spread: float,
        random: np.random.Generator,
    ) -> None:
        n_patients = -(-n_images // per_patient)
        self.patients = np.arange(n_images) % n_patients
        self.folds = self.patients % N_FOLDS
        self.targets = np.zeros(n_images, dtype=np.int64)
        self.targets[random.permutation(n_images)[:n_positives]] = 1
        epochs = np.arange(N_EPOCHS)
        course = QUALITY * (1 - 0.6 * np.exp(-epochs / 3)) - fall * np.maximum(0, epochs - PEAK)
        self.quality = course + spread * random.normal(size=(N_FOLDS, N_EPOCHS))
        fixed = OF_PATIENT * random.normal(size=n_patients)[self.patients]
        fixed = fixed + OF_IMAGE * random.normal(size=n_images)
        changing = OF_EPOCH * random.normal(size=(N_EPOCHS, n_images))
        self.logits = self.quality[self.folds].T * self.targets + fixed + changing

    def scores(self) -> dict[str, tuple[Floats, float]]:
        """By name, the variants that are scored and the true AUC."""
        curves = {fold: self._curve(fold) for fold in range(N_FOLDS)}
        best = [max(curves[fold], key=lambda key: curves[fold][key])[0] for fold in curves]
        honest = [epoch for epoch, _ in honest_validations(curves).values()]
        last = [N_EPOCHS - 1] * N_FOLDS
        own, chosen = self._at(best), self._at(honest)
        return {
            "last": (self._at(last)[None], self._truth(last)),
            "best, by the other folds": (np.array([own, own, chosen]), self._truth(best)),
            "best, by its own rows": (own[None], self._truth(best)),
        }

    def _curve(self, fold: int) -> dict[tuple[int, int], float]:
        rows = self.folds == fold
        targets = self.targets[rows]
        return {(e, 0): auc(targets, self.logits[e, rows]) for e in range(N_EPOCHS)}

    def _at(self, epochs: list[int]) -> Floats:
        logits = self.logits[np.array(epochs)[self.folds], np.arange(len(self.folds))]
        probabilities: Floats = expit(logits)
        return probabilities

    def _truth(self, epochs: list[int]) -> float:
        # All others have the same distribution in every fold, so that each fold's positives meet it.
        spread = np.sqrt(2 * (OF_PATIENT**2 + OF_IMAGE**2 + OF_EPOCH**2))
        return float(np.mean(ndtr(self.quality[np.arange(N_FOLDS), epochs] / spread)))
