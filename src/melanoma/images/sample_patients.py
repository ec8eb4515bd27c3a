"""Made-up patients and their rows, with the marginal shares of SIIM-ISIC 2020.

Every figure named SIIM was counted in the train.csv of the SIIM-ISIC 2020 challenge (33,126 images,
2,056 patients; Rotemberg et al., Scientific Data 8, 34, 2021). No row of that table is kept here.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.tables import (
    AGE,
    BENIGN_MALIGNANT,
    DIAGNOSIS,
    IMAGE_NAME,
    PATIENT_ID,
    SEX,
    SITE,
    TARGET,
)

Split = Literal["train", "test"]

# SIIM has 0.0176: 400 images would hold seven melanomas, too few for five folds and a steady AUC.
PREVALENCE = 0.20

# SIIM, one count per patient; the empty string is a missing sex.
SEX_SHARES = {"male": 0.524, "female": 0.475, "": 0.001}

# SIIM, median age of each patient in 5-year bands; NaN is a missing age (3 patients of 2,056).
AGE_SHARES = {
    10.0: 0.002,
    15.0: 0.004,
    20.0: 0.016,
    25.0: 0.032,
    30.0: 0.057,
    35.0: 0.078,
    40.0: 0.097,
    45.0: 0.124,
    50.0: 0.129,
    55.0: 0.117,
    60.0: 0.102,
    65.0: 0.085,
    70.0: 0.072,
    75.0: 0.046,
    80.0: 0.023,
    85.0: 0.009,
    90.0: 0.006,
    np.nan: 0.001,
}

# SIIM, one count per image; the empty string is a missing site.
SITE_SHARES = {
    "torso": 0.5085,
    "lower extremity": 0.2541,
    "upper extremity": 0.1504,
    "head/neck": 0.0560,
    "": 0.0160,
    "palms/soles": 0.0113,
    "oral/genital": 0.0037,
}

# SIIM, images without melanoma: 83.4 % unknown, 16.0 % nevus, 0.4 % seborrheic keratosis and 0.3 %
# rarer diagnoses, which are folded into the last one.
BENIGN_DIAGNOSIS_SHARES = {"unknown": 0.834, "nevus": 0.159, "seborrheic keratosis": 0.007}

# SIIM quantiles of images per patient: 5 % 2, 25 % 5, 50 % 12, 75 % 22, 95 % 44, at most 115. That
# is nearly a lognormal of sigma 0.8 around 12; half the median and a cap give 40 to 60 patients in
# 400 images instead of 25, so that no fold hangs on one patient.
MEDIAN_IMAGES = 6.0
SIGMA_LOG_IMAGES = 0.8
MIN_IMAGES, MAX_IMAGES = 2, 24

# SIIM: half of the patients were photographed over five years or more.
OLDER_IMAGE_SHARE = 0.2
AGE_STEP_YEARS = 5.0

# SIIM: 62 % of the melanomas are of men, who own 52 % of the images; and patients with a melanoma
# are 58 years old on average, all patients 51. A risk in proportion to age is a mild form of that.
SEX_RISK = {"male": 1.2, "female": 0.8, "": 1.0}
MEAN_AGE_YEARS = 51.0

# An image number is the running number times a multiplier modulo 10**7. Because the multiplier has
# no factor in common with 10, no two numbers meet; and because it is large, neighbours part.
NUMBER_MODULUS = 10**7
NUMBER_MULTIPLIER = 6_180_339


def sample_table(n_images: int, split: Split, seed: int) -> pd.DataFrame:
    """Make the rows of one split, with the columns of SIIM's train.csv.

    Rows are sorted by image name. A longer table of the same split and seed holds every row of a
    shorter one, and the two splits share neither patients nor image names.

    Args:
        n_images: Number of rows.
        split: Which table; the test table has its targets too, to draw the pictures from.
        seed: Non-negative seed of the sample.

    Returns:
        n_images rows; age in years (float, NaN where missing), target 0 or 1, the rest strings.
    """
    side = ("train", "test").index(split)
    blocks: list[pd.DataFrame] = []
    while sum(map(len, blocks)) < n_images:
        blocks.append(_patient_rows(2 * len(blocks) + side, seed))
    table = pd.concat(blocks, ignore_index=True).head(n_images)
    running = 2 * np.arange(n_images) + side
    # int64 holds every product: the running number would have to pass 10**12 to overflow.
    numbers = (running * NUMBER_MULTIPLIER + seed) % NUMBER_MODULUS
    table[IMAGE_NAME] = [f"SAMPLE_{number:07d}" for number in numbers]
    table[TARGET] = _targets(table)
    return _with_diagnoses(table).sort_values(IMAGE_NAME, ignore_index=True)


def _patient_rows(patient: int, seed: int) -> pd.DataFrame:
    """Draw one patient, of whom everything depends on (seed, patient) alone."""
    rng = np.random.default_rng([seed, 0, patient])
    sex = _draw(SEX_SHARES, 1, rng)[0]
    age = _draw(AGE_SHARES, 1, rng)[0]
    wanted = rng.lognormal(np.log(MEDIAN_IMAGES), SIGMA_LOG_IMAGES)
    n_images = int(np.clip(round(wanted), MIN_IMAGES, MAX_IMAGES))
    is_older = rng.random(n_images) < OLDER_IMAGE_SHARE
    return pd.DataFrame(
        {
            IMAGE_NAME: "",
            PATIENT_ID: f"SP_{patient:04d}",
            SEX: sex,
            AGE: np.minimum(age + AGE_STEP_YEARS * is_older, max(AGE_SHARES)),
            SITE: _draw(SITE_SHARES, n_images, rng),
            DIAGNOSIS: _draw(BENIGN_DIAGNOSIS_SHARES, n_images, rng),
        }
    )


def _draw(shares: Mapping[Any, float], size: int, rng: np.random.Generator) -> list[Any]:
    weights = np.array(list(shares.values()))
    chosen = rng.choice(len(weights), size=size, p=weights / weights.sum())
    return [list(shares)[index] for index in chosen]


def _targets(table: pd.DataFrame) -> NDArray[np.int64]:
    """Choose the melanomas by systematic sampling (Madow 1949) with unequal risks.

    A row is a melanoma where the running sum of risks passes the next whole number. So they are
    spread evenly over the patients, their count is fixed to within one, and appended rows change
    no row above them.
    """
    relative_age = (table[AGE] / MEAN_AGE_YEARS).fillna(1.0)
    risk = PREVALENCE * relative_age * table[SEX].map(SEX_RISK)
    whole = np.floor(np.cumsum(risk.to_numpy()) + 0.5).astype(np.int64)
    return np.diff(whole, prepend=0)


def _with_diagnoses(table: pd.DataFrame) -> pd.DataFrame:
    is_melanoma = table[TARGET] == 1
    table[DIAGNOSIS] = table[DIAGNOSIS].mask(is_melanoma, "melanoma")
    table[BENIGN_MALIGNANT] = np.where(is_melanoma, "malignant", "benign")
    return table[[IMAGE_NAME, PATIENT_ID, SEX, AGE, SITE, DIAGNOSIS, BENIGN_MALIGNANT, TARGET]]
