"""Simulated runs whose folds, groups and test images are as good as is asked for."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from melanoma.ensemble.predictions import Predictions
from melanoma.report.groups import factors_to_show
from melanoma.tables import AGE, IMAGE_NAME, PATIENT_ID, SEX, SITE, TARGET

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

AUC = 0.88
# Of the variance of a logit within a class: what the images of a patient, and the networks, share.
OF_PATIENT, OF_IMAGE, OF_NETWORK = 0.3, 0.5, 0.2
SITES = {"torso": 0.51, "lower extremity": 0.25, "upper extremity": 0.15, "head/neck": 0.06}
SITES |= {"palms/soles": 0.02, "oral/genital": 0.01}
WEAK_SITE = "lower extremity"
PIXELS = {"6000 x 4000": 0.5, "1920 x 1080": 0.3, "4288 x 2848": 0.2}


@dataclass(frozen=True)
class Size:
    """How large a competition is.

    Attributes:
        n_images: Training images.
        n_patients: Whose they are.
        n_melanomas: Of the images.
        n_test: Test images.
        n_test_patients: Whose they are.
        unevenness: Standard deviation of the logarithm of a patient's number of images.
        is_lesion: Whether a patient is a lesion, all of whose images show the same.
    """

    n_images: int
    n_patients: int
    n_melanomas: int
    n_test: int
    n_test_patients: int
    unevenness: float
    is_lesion: bool = False


# As counted in the sample of `make demo`, in ISIC 2018 (lesions as patients) and in SIIM-ISIC 2020.
SIZES = {
    "demo": Size(400, 48, 81, 100, 15, 0.8),
    "isic2018": Size(1_101, 892, 121, 409, 329, 0.0, is_lesion=True),
    "siim2020": Size(33_126, 2_056, 584, 10_982, 690, 0.9),
}


@dataclass(frozen=True)
class Network:
    """What the networks of a run do.

    Attributes:
        uses_metadata: Whether age and sex, on which the risk depends, are part of the prediction.
        fold_spread: Standard deviation of what each fold's network adds to all logits.
    """

    uses_metadata: bool = False
    fold_spread: float = 0.0


class Images:
    """Images, their patients, and what is known of them; a function of their numbers and a seed.

    Attributes:
        targets: Shape (n_images,), 0 or 1.
        patients: Shape (n_images,), from 0.
        age: Shape (n_patients,), in years.
        sex: Shape (n_patients,), 0 or 1.
    """

    def __init__(self, size: Size, random: np.random.Generator, is_test: bool = False) -> None:
        self._random = random
        n_images, n_patients = (
            (size.n_test, size.n_test_patients) if is_test else (size.n_images, size.n_patients)
        )
        shares = random.lognormal(0, size.unevenness, n_patients)
        more = random.multinomial(n_images - n_patients, shares / shares.sum())
        self.patients: Codes = np.repeat(np.arange(n_patients), 1 + more)
        # Medians and risks roughly as in SIIM-ISIC 2020.
        self.age: Floats = np.clip(random.normal(51, 15, n_patients) // 5 * 5, 10, 90)
        self.sex: Codes = random.integers(0, 2, n_patients)
        self.targets = self._draw_targets(size, round(size.n_melanomas * n_images / size.n_images))

    def logits(self, network: Network, n_networks: int = 1, auc: float | Floats = AUC) -> Floats:
        """What networks say of them, shape (n_networks, n_images).

        Args:
            network: What they do.
            n_networks: Their number.
            auc: Of images that have all metadata in common: a number, or shape (n_images,).
        """
        n_images, draw = self.patients.size, self._random.normal
        noise = np.sqrt(OF_PATIENT) * draw(size=self.age.size)[self.patients]
        noise = noise + np.sqrt(OF_IMAGE) * draw(size=n_images)
        noise = noise + np.sqrt(OF_NETWORK) * draw(size=(n_networks, n_images))
        of_metadata = network.uses_metadata * self._log_risk[self.patients]
        signal: Floats = self.targets * np.sqrt(2) * _normal_quantiles(auc) + of_metadata + noise
        return signal

    def choose(self, shares: dict[str, float]) -> list[str]:
        """A value for each image."""
        chosen = self._random.choice(list(shares), self.patients.size, p=list(shares.values()))
        return list(chosen)

    @property
    def _log_risk(self) -> Floats:
        risk: Floats = 0.8 * (self.age - 51) / 15 + 0.4 * self.sex
        return risk

    def _draw_targets(self, size: Size, n_melanomas: int) -> Codes:
        """As many melanomas as are asked for; of lesions, as many images as come next to it."""
        risk = self._random.gamma(1.5, 1 / 1.5, self.age.size) * np.exp(self._log_risk)
        if size.is_lesion:
            order = np.argsort(self._random.exponential(size=risk.size) / risk)
            images = np.cumsum(np.bincount(self.patients)[order])
            chosen = np.isin(self.patients, order[images <= n_melanomas])
        else:
            waits = self._random.exponential(size=self.patients.size) / risk[self.patients]
            chosen = np.argsort(np.argsort(waits)) < n_melanomas
        return chosen.astype(np.int64)


class Competition:
    """Training and test images, drawn alike.

    Attributes:
        train: Images with targets.
        test: Images without.
        rows: A row per training image, as train.csv has it.
        factors: What the report groups them by.
    """

    def __init__(self, size: Size, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.train = train = Images(size, self._random)
        self.test = Images(size, self._random, is_test=True)
        self.rows = pd.DataFrame(
            {
                IMAGE_NAME: [f"I{row}" for row in range(size.n_images)],
                PATIENT_ID: [f"P{patient:05d}" for patient in train.patients],
                SEX: np.array(["female", "male"])[train.sex[train.patients]],
                AGE: train.age[train.patients],
                SITE: train.choose(SITES),
                TARGET: train.targets,
            }
        )
        self.factors = factors_to_show(self.rows, pd.Series(train.choose(PIXELS)))

    def deal(self, n_folds: int) -> Codes:
        """Patients dealt to folds by their melanomas, shape (n_images,)."""
        counts = np.bincount(self.train.patients, weights=self.train.targets)
        order = np.lexsort((self._random.random(counts.size), -counts))
        fold_of = np.empty(counts.size, dtype=np.int64)
        for start in range(0, counts.size, n_folds):
            dealt = order[start : start + n_folds]
            fold_of[dealt] = self._random.permutation(n_folds)[: dealt.size]
        return fold_of[self.train.patients]

    def run(self, folds: Codes, network: Network, auc: float | Floats = AUC) -> Predictions:
        """A run of networks, each of which predicts its fold and the test images.

        Args:
            folds: Shape (n_images,), from 0.
            network: What they do.
            auc: As `Images.logits`, of the training images.
        """
        n_folds = int(folds.max()) + 1
        added = network.fold_spread * self._random.normal(size=n_folds)
        oof = self.train.logits(network, auc=auc) + added[folds]
        test = self.test.logits(network, n_folds) + added[:, None]
        return Predictions(
            ["run"],
            self.rows[[IMAGE_NAME, PATIENT_ID, TARGET]].assign(fold=folds),
            expit(oof - 3),
            pd.Series([f"T{row}" for row in range(test.shape[1])]),
            (expit(test - 3),),
        )


def _normal_quantiles(areas: float | Floats) -> Floats:
    values, places = np.unique(np.asarray(areas), return_inverse=True)
    quantiles: Floats = np.array([NormalDist().inv_cdf(value) for value in values])[places]
    return quantiles
