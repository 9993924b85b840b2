"""What is known of the dead shares of fields, and how far a model is off."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.manifest import Curated
from jimt.errors import InputError
from jimt.evaluation.field_shares import MIN_CELLS
from jimt.statistics.dead_share import share_weights
from jimt.statistics.stained_calibration import Calibrates
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

if TYPE_CHECKING:
    from jimt.models.predictor import Predictor


@dataclass(frozen=True)
class TrueShares:
    """Dead shares of the tested fields.

    Attributes:
        against: ``counted`` cells where they were counted, else ``pi``: patches by their labels, those between the
            thresholds half dead.
        fields: By the number of the field ``group``, ``name``, and the shares ``counted`` and ``pi``, NaN where they
            are not known.
    """

    against: str
    fields: pd.DataFrame

    @property
    def true(self) -> pd.Series:
        """The shares that errors are told against."""
        return self.fields[self.against]


def share_errors(curated: Curated, table: pd.DataFrame, predicted: pd.Series) -> TrueShares | None:
    """What is known of the fields of scored patches; None of published patches, which are no fields.

    Args:
        curated: The data set.
        table: As ``score_test_split`` gives it.
        predicted: Dead share of each field by a model, by its number.
    """
    if table["y"].isna().any():
        return None
    counted, rows = curated.summary["cells"], {}
    for field, part in table.groupby("field"):
        first = part.iloc[0]
        n_cells, n_dead = (0, 0) if counted is None else counted["by_field"].get(str(first["raw_image_id"]), (0, 0))
        weights, living = _weights(curated, int(str(field)), part), _living(part)
        rows[int(str(field))] = {
            "name": first["raw_image_id"],
            "group": str(first["group"]),
            "counted": n_dead / n_cells if n_cells >= MIN_CELLS else np.nan,
            "pi": float(weights @ (1 - living)),
        }
    fields = pd.DataFrame.from_dict(rows, orient="index")
    known = fields["counted"].notna() & predicted.reindex(fields.index).notna()
    return TrueShares("counted" if known.any() else "pi", fields)


def _living(part: pd.DataFrame) -> NDArray[np.float64]:
    labels = part["label"].to_numpy(np.int64)
    return np.select([labels == LIVE, labels == DEAD, labels == AMBIGUOUS], [1.0, 0.0, 0.5])


def _weights(curated: Curated, number: int, part: pd.DataFrame) -> NDArray[np.float64]:
    height, width = curated.store.field(number).shape
    y, x = (part[axis].to_numpy(np.int64) for axis in ("y", "x"))
    return share_weights(y, x, height=height, width=width, size=int(curated.summary["patch_size"]))


def stained_evidence(
    predictor: "Predictor", curated: Curated, table: pd.DataFrame, truth: TrueShares
) -> list[dict[str, Any]]:
    """What a model can be adapted by: of each field what it says, and what PI does; as ``errors_of_draws`` takes them.

    Args:
        predictor: The model.
        curated: The data set.
        table: As ``score_test_split`` gives it.
        truth: What is known of the fields.

    Raises:
        InputError: If the model predicts maps and PI alone does not tell its labels.
    """
    from jimt.models.pi_truth import pi_settings
    from jimt.models.stained_evidence import Evidence, evidence_of

    temperature, found = predictor.checkpoint.output.temperature, []
    for field, part in table.groupby("field"):
        number = int(str(field))
        if predictor.checkpoint.task == "stain":
            settings, pi = pi_settings(predictor.checkpoint), curated.store.fluorescence(number)
            rows = part[["field", "y", "x"]].reset_index(drop=True)
            try:
                evidence = evidence_of(predictor, curated.store, number, rows, pi, settings, what="calibration")
            except InputError:  # no share can be taken of what it shows
                continue
        else:  # PI has spoken in the labels
            margins = part["logit"].to_numpy(np.float64)
            patches = Calibrates(margins, _living(part), _weights(curated, number, part))
            evidence = Evidence(patches, {}, float(patches.weights @ (1 - patches.targets)))
        known = truth.fields.loc[number]
        found.append(
            {
                "name": known["name"],
                "group": known["group"],
                "evidence": evidence,
                "temperature": temperature,
                "pi": evidence.pi_share,
                "counted": known["counted"],
            }
        )
    return found
