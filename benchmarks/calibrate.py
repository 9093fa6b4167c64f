"""How many ratings does a calibration need? Fit to some speakers, test on the others.

    python benchmarks/calibrate.py RESULTS RATINGS [--scale LOW,HIGH] [--draws 12]

RESULTS and RATINGS as `speechcmp calibrate` takes them. The shipped score was fitted to ratings, maybe to these; so
they are changed as another rater might: squared, or stretched around their top. Printed are mean error and correlation
on the speakers that were not drawn, of the shipped model and of models fitted to so many ratings, without and with the
shipped slopes as further ratings.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speechcmp.calibration.evaluate import correlation
from speechcmp.calibration.fit import Examples, calibrate
from speechcmp.calibration.ratings import join, read_ratings, read_results
from speechcmp.scoring.model import ScoreModel, load_model, score_take

SIZES = (20, 40, 80, 160)
WEIGHTS = (0, 5, 20, 50)
Floats = NDArray[np.float64]
LAWS: dict[str, Callable[[Floats], Floats]] = {
    "squared": lambda rating: rating**2 / 100,
    "stretched": lambda rating: np.clip(1.5 * rating - 50, 0, 100),
}


def draw(speakers: NDArray[np.str_], size: int, seed: int) -> NDArray[np.bool_]:
    """Choose speakers until there are `size` takes by them."""
    chosen = np.zeros(len(speakers), bool)
    for name in np.random.default_rng(seed).permutation(np.unique(speakers)):
        if chosen.sum() >= size:
            break
        chosen |= speakers == name
    return chosen


def figures(examples: Examples, model: ScoreModel) -> tuple[float, float]:
    """Return mean error and correlation."""
    scores = np.array([score_take(take, model).value for take in examples.takes])
    ratings = np.array(examples.ratings)
    return float(np.abs(ratings - scores).mean()), correlation(scores, ratings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("ratings", type=Path)
    parser.add_argument("--scale", default="0,100")
    parser.add_argument("--draws", type=int, default=12)
    arguments = parser.parse_args()
    low, high = map(float, arguments.scale.split(","))
    rated = join(read_results(arguments.results), read_ratings(arguments.ratings, scale=(low, high))).examples
    speakers = np.array(rated.speakers)
    for law, change in LAWS.items():
        examples = replace(rated, ratings=tuple(change(np.array(rated.ratings)).tolist()))
        error, r = figures(examples, load_model())
        print(f"{law}: shipped model: mean error {error:.1f}, r {r:.2f}")
        for size in SIZES:
            masks = [draw(speakers, size, seed) for seed in range(arguments.draws)]
            for weight in WEIGHTS:
                models = [calibrate(examples.only(mask), base_weight=weight).model for mask in masks]
                found = [figures(examples.only(~mask), model) for mask, model in zip(masks, models, strict=True)]
                error, r = np.mean(found, axis=0)
                print(f"  {size:4d} ratings and {weight:3d} of the shipped slopes: mean error {error:.1f}, r {r:.2f}")


if __name__ == "__main__":
    main()
