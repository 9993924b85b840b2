"""How well the dead share of a simulated well can be told at all: ``python benchmarks/looks.py``.

What no microscope shows a network better is the true look of every cell of the simulation. A regression learns dead
shares from these looks, and from their means over neighbours, of many wells of two fields with doses as
``dataset=synthetic_doses`` has them; printed is how far it is off on wells that it was not fitted to (five folds). A
network that sees images cannot be expected to do better. Some minutes on one core for 600 wells a row.
"""

import argparse

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import cross_val_predict

from jimt.config.hydra_dataset import dataset_of_name
from jimt.synthetic.cells import grow_monolayer
from jimt.synthetic.microscope import MARGIN, draw_well
from jimt.synthetic.plate_plan import DoseResponse
from jimt.synthetic.writer import plan_field

NEIGHBOURS = (7, 19, 37)
QUANTILES = np.linspace(0.02, 0.98, 25)


def well(number: int, difficulty: float) -> tuple[NDArray[np.float64], float]:
    """What the looks of a well's cells come to, and the dead share of these cells."""
    settings = dataset_of_name("synthetic_doses").simulation
    assert settings is not None
    assert settings.dose_response is not None
    given = settings.dose_response
    response = DoseResponse(tuple(given.doses), given.ec50, given.hill_slope)
    rng = np.random.default_rng([number, 7])
    place = int(rng.integers(1, 1000))
    asked = response.dead_fraction(
        response.dose_of(place), lowest=settings.dead_fraction, highest=settings.treated_dead_fraction or 1.0
    )
    shared = draw_well(rng, difficulty=difficulty)
    looks, means, dead = [], [], []
    for position in (1, 2):
        bare, _ = plan_field(rng, well=place, position=position, seed=number)
        cells = grow_monolayer(
            rng,
            height=settings.height + 2 * MARGIN,
            width=settings.width + 2 * MARGIN,
            dead_fraction=1 / (1 + (1 / asked - 1) * float(np.exp(-shared.death_shift))),
            bare_fraction=bare,
            difficulty=difficulty,
            look_shift=shared.look_shift,
        )
        places = np.column_stack([cells.y, cells.x])
        nearest = cKDTree(places)
        around = [nearest.query(places, k=min(n, len(places)))[1] for n in NEIGHBOURS]
        looks.append(cells.look)
        means.append(np.stack([cells.look[each].mean(axis=1) for each in around]))
        dead.append(cells.dead)
    told = [np.concatenate(looks), *np.concatenate(means, axis=1)]
    return np.concatenate([np.quantile(each, QUANTILES) for each in told]), float(np.concatenate(dead).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wells", type=int, default=600)
    parser.add_argument("--difficulties", type=float, nargs="+", default=[0.2, 0.35, 0.5])
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    for difficulty in options.difficulties:
        found = Parallel(options.jobs)(delayed(well)(number, difficulty) for number in range(options.wells))
        told, shares = (np.array(each) for each in zip(*found, strict=True))
        trees = ExtraTreesRegressor(400, min_samples_leaf=2, random_state=0)
        off = np.abs(cross_val_predict(trees, told, shares, cv=5) - shares)
        few = shares < 0.2
        print(
            f"difficulty {difficulty:g}: off by {off.mean():.3f}, {off[few].mean():.3f} of wells with less than a "
            f"fifth dead; {100 * np.mean(off <= 0.05):.0f} % of {len(off)} wells within 0.05",
            flush=True,
        )


if __name__ == "__main__":
    main()
