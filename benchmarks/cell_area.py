"""What the area of cells, told by the texture of bright-field, adds to true PI on ``mcf7``.

Of each patch the PI-positive area, as it is and over the area of cells, is held against the counted nuclei, a patch
being dead where a quarter of them or more are. Overrides of ``jimt prepare`` may follow:

    python benchmarks/cell_area.py

Expected (half a minute):

    counted nuclei in the area of cells: 0.995
    rank of that area with the density of all nuclei on Hoechst, Spearman: 0.71
    positive area                    AUROC 0.938, within experiments 0.921
    positive area over that of cells AUROC 0.948, within experiments 0.932
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from scipy.stats import spearmanr

from jimt.config.hydra_schema import to_dataclasses
from jimt.config.own_configs import CONF
from jimt.curation.cell_area import cell_area
from jimt.curation.manifest import open_curated
from jimt.curation.positive import PositiveSettings, positive_mask
from jimt.data.preparation import prepare
from jimt.data.stain_targets import places
from jimt.models.map_evidence import BARE, patch_means
from jimt.statistics.metrics import METRICS

DATA = ["dataset=mcf7", "dataset.nuclei=hoechst", "curation.align=true", "curation.empty_filter.enabled=false"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="of jimt prepare")
    overrides = parser.parse_args().overrides
    with tempfile.TemporaryDirectory() as folder:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            root = f"curation.output_root={folder}"
            config = to_dataclasses(compose("prepare", [*DATA, root, *overrides]))
        prepare(config.dataset, config.curation)
        report(Path(folder) / config.dataset.name)


def report(folder: Path) -> None:
    curated = open_curated(folder)
    store, label = curated.store, curated.summary["config"]["curation"]["label"]
    settings = PositiveSettings(**label["positive"], percentile=label["background_percentile"], count_nuclei=False)
    counted, stained = curated.cells(), curated.nuclei()
    assert counted is not None
    assert stained is not None
    means, inside, area, density = [], [], [], []
    rows = curated.manifest.sort_values("field", kind="stable")
    for field, patches in rows.groupby("field"):
        valid, pixels = ~store.no_data(field), store.field(field)
        cells = cell_area(pixels, valid)
        mask = positive_mask(store.fluorescence(field), valid, settings, saturated_at=65535)
        here = counted[counted["field"] == field]
        y, x = (
            np.clip(np.rint(here[axis]).astype(int), 0, side - 1) for axis, side in zip("yx", valid.shape, strict=True)
        )
        inside.append(cells[y, x])
        area.append(cells[valid].mean())
        density.append((stained["field"] == field).sum() / valid.sum())
        maps = np.stack([places(mask), places(cells)]).astype(np.float32)
        origins = [patches[axis].to_numpy(np.int64) for axis in ("y", "x")]
        means.append(patch_means(maps, places(valid), *origins, size=curated.summary["patch_size"]))
    print(f"counted nuclei in the area of cells: {np.concatenate(inside).mean():.3f}")
    rank = spearmanr(area, density).statistic
    print(f"rank of that area with the density of all nuclei on Hoechst, Spearman: {rank:.2f}")
    positive, of_cells = np.concatenate(means).T
    some = (rows["n_cells"] > 0).to_numpy()
    live = (rows["n_dead"] < 0.25 * rows["n_cells"]).to_numpy(np.int64)[some]
    groups, fields = (rows[name].astype(object).to_numpy()[some] for name in ("group", "raw_image_id"))
    for words, dead in (
        ("positive area                   ", positive),
        ("positive area over that of cells", positive / (of_cells + BARE)),
    ):
        pooled, within = (
            METRICS[name].value(live, 1 - dead[some], groups, fields) for name in ("auroc", "auroc_within_groups")
        )
        print(f"{words} AUROC {pooled:.3f}, within experiments {within:.3f}")


if __name__ == "__main__":
    main()
