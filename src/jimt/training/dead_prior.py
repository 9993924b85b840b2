"""Sets back what drawing crops about dead nuclei has made a network believe of how many nuclei are dead."""

import numpy as np

from jimt.curation.manifest import Curated
from jimt.models.stainwise import StainPredictor
from jimt.statistics.predicted_nuclei import nuclei_of_maps
from jimt.vocabulary import STRIDE, Split

_CERTAIN = 1e-6  # of a probability, beyond which its logarithm says nothing more


def set_back_dead_prior(predictor: StainPredictor, curated: Curated, *, nuclei_of: str) -> float | None:
    """Shift the last layer so that as many nuclei are called dead as are, in the fields of training and validation.

    Half of the crops lie about dead nuclei, so a network sees more of them than there are and calls too many nuclei
    dead; those of whole fields tell how many too many. Where nuclei lie stays, and which of them are the likelier dead.

    Args:
        predictor: Of the network, which is changed in place.
        curated: The data set, with the split that was trained on.
        nuclei_of: What tells where nuclei lie, ``cells`` or ``nuclei``.

    Returns:
        How far it was shifted, in logits; None where no nucleus is known or none is predicted.
    """
    used = curated.manifest["split"].isin([Split.TRAIN.value, Split.VAL.value])
    fields = np.unique(curated.manifest.loc[used, "field"]).tolist()
    known = curated.cells() if nuclei_of == "cells" else curated.nuclei()
    if known is None:
        return None
    known = known[known["field"].isin(fields)]
    logits = []
    for field in np.unique(known["field"]).tolist():
        maps = dict(zip(predictor.network.outputs, predictor.maps(curated.store, field), strict=True))
        nuclei = nuclei_of_maps(maps["dead"], maps["live"])
        places = tuple(nuclei[axis].to_numpy(np.int64) // STRIDE for axis in ("y", "x"))
        dead, live = (maps[name][places].astype(np.float64) for name in ("dead", "live"))
        logits.append(np.log(np.maximum(dead, _CERTAIN) / np.maximum(live, _CERTAIN)))
    found = np.concatenate(logits) if logits else np.zeros(0)
    if not len(found):
        return None
    shift = float(np.quantile(found, 1 - float(known["dead"].mean())))
    predictor.network.shift_dead(-shift)
    predictor.forget()
    return shift
