"""Where the fit of the labels' mixture must stop to give the paper's cut-offs: ``python benchmarks/mixture.py``.

As many patches as the paper's, at the quantiles of its two components, 224.51 +- 34.46 and 550.44 +- 153.55 (so without
the chance of a draw), fitted until the mean log-likelihood gains less than a tolerance. The paper's cut-offs, which lie
one standard deviation inside, are 258.97 and 396.89. Two seconds:

    tolerance 0.001 (scikit-learn's): live below 260.3, dead above 405.5
    tolerance 1e-06 (conf/curation):  live below 259.0, dead above 397.2
"""

import numpy as np
from scipy.stats import norm

from jimt.curation.labels import fit_label_thresholds

N_LIVE, N_DEAD = 10_464, 11_384
LIVE, DEAD = norm(224.51, 34.46), norm(550.44, 153.55)


def main() -> None:
    n = N_LIVE + N_DEAD
    grid = np.linspace(-500, 1_600, 1_000_001)
    cumulative = (N_LIVE * LIVE.cdf(grid) + N_DEAD * DEAD.cdf(grid)) / n
    values = np.interp((np.arange(n) + 0.5) / n, cumulative, grid)
    for tolerance, whose in ((1e-3, "(scikit-learn's):"), (1e-6, "(conf/curation): ")):
        fitted = fit_label_thresholds(
            values,
            n_sigma=1.0,
            n_init=1,
            tolerance=tolerance,
            min_patches=50,
            min_weight=0.02,
            fit_range=None,
            seed=0,
        )
        cut_offs = f"live below {fitted.live_below:.1f}, dead above {fitted.dead_above:.1f}"
        print(f"tolerance {tolerance:g} {whose} {cut_offs}")


if __name__ == "__main__":
    main()
