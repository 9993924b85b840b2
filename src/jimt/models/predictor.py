"""The one way to a score: opened once from a run or checkpoint, asked for any rows of any fields."""

import copy
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.patches import Scaling, covering_origins, patch_origins
from jimt.data.fields import Fields, RawFields
from jimt.data.stain_targets import MIN_VALID, places
from jimt.errors import InputError
from jimt.models.checkpoint import Checkpoint, read_checkpoint
from jimt.models.devices import prediction_device, ready
from jimt.models.empty_patches import EmptyPatches
from jimt.models.like_training import Familiarity, judge, windows_of
from jimt.models.mapwise import MapPredictor
from jimt.models.network import LiveDeadNetwork
from jimt.models.patchwise import PatchPredictor
from jimt.models.scorers import quick_network, scorer_of
from jimt.models.stainwise import StainPredictor
from jimt.networks.weights import load_weights
from jimt.statistics.calibration import live_score
from jimt.statistics.predicted_nuclei import nuclei_of_maps
from jimt.system.run_folders import find_checkpoint


class Predictor:
    """A trained model that answers.

    Args:
        checkpoint: The model.
        accelerator: ``cpu`` or ``gpu``; None for the training's.
        device_index: Which graphics card, where one is used.
        cache: Folder that keeps the feature maps of whole fields; None to keep none.

    Raises:
        InputError: If there is no such device, or torch cannot use it.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        accelerator: str | None = None,
        device_index: int = 0,
        cache: Path | None = None,
    ) -> None:
        record = checkpoint.record
        self.checkpoint = checkpoint
        self.device = prediction_device(
            accelerator or record.accelerator, index=device_index, precision=record.precision
        )
        self.network = quick_network(checkpoint)
        known, takes, at_once = checkpoint.empty_filter, checkpoint.input, record.eval_batch_size
        options: dict[str, Any] = {"device": self.device, "batch_size": at_once}
        self._filter = None if known is None else EmptyPatches(known, size=takes.patch_size, **options)
        options |= {"gives": checkpoint.output, "precision": record.precision, "cache": cache}
        self._new_scorer = partial(scorer_of, self.network, takes=takes, **options)
        self.scorer = self._new_scorer()

    def twin(self) -> "Predictor":
        """Another that shares its networks, and keeps its own fields: two threads can ask at once, one of each."""
        ready(self.network, self.device)  # by one thread, before either passes something through
        _ = self._filter and self._filter.opened
        other = copy.copy(self)
        other.scorer = self._new_scorer()
        return other

    def logits(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Logits of patches, dead and live, shape ``(n, 2)``, before the temperature, in the order of the rows.

        Args:
            fields: That the rows count in.
            rows: Columns ``field``, ``y`` and ``x``, at least one row.
        """
        half = self.checkpoint.output.offset / 2
        if isinstance(self.scorer, PatchPredictor) and rows["field"].nunique() == 1:
            logits = self.scorer.logits_of_field(fields, rows)
        else:
            logits = self.scorer.logits(fields, rows)
        return logits + np.array([-half, half], np.float32)

    def features(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        """What the last linear layer is given, shape ``(n, n_features)``; arguments as of ``logits``."""
        return self.scorer.features(fields, rows)

    def familiarity(
        self, fields: Fields, number: int, *, colour: bool, pixel_size: float | None, zoom: float
    ) -> Familiarity:
        """How like the training's fields one field is; no further pass where its scores were asked for just before.

        Args:
            fields: That the number counts in.
            number: Of the field.
            colour: Whether its file's colours differ from grey.
            pixel_size: Of its file, micrometres; None where that is not known.
            zoom: Pixels of the field for one of its file's.
        """
        reference = self.checkpoint.reference
        features = None if reference.unknown is not None else self.scorer.window_features(fields, number)
        pixels, valid, size = fields.field(number), ~fields.no_data(number), self.checkpoint.input.patch_size
        rows = windows_of(fields, number, size=size)
        return judge(
            reference, features, pixels, valid, rows, size=size, colour=colour, pixel_size=pixel_size, zoom=zoom
        )

    def frozen_features(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32] | None:
        """Pooled features of the backbone as it was before it was trained here; arguments as of ``logits``.

        Returns:
            Shape ``(n, n_features)``; None where there is no such network other than this one: the training started
            from random weights, or is itself a linear layer on these features.

        Raises:
            InputError: If the weights that the training started from cannot be had here.
        """
        record, name = self.checkpoint.record, self.checkpoint.network.name
        own = self.checkpoint.network.head == "linear" and self.checkpoint.network.layer is None
        if record.weights == "random" or (own and self.checkpoint.output.tile is None):
            return None
        network = LiveDeadNetwork(name, head="linear", layer=None)
        found = load_weights(network.network, name, str(record.settings["backbone.weights"]))
        if found != record.weights:
            raise InputError(f"its weights are {found} today, and the training started from {record.weights}")
        takes, precision, at_once = self.checkpoint.input, record.precision, record.eval_batch_size
        return PatchPredictor(network, takes, 1, self.device, precision, at_once).features(fields, rows)

    def maps(self, fields: Fields, number: int) -> dict[str, NDArray[np.float32]]:
        """Maps of one field, by the names of ``vocabulary.OUTPUTS``, each of shape ``(height, width)`` in places.

        A place is a square of ``vocabulary.STRIDE`` pixels. ``log_pi`` is the natural logarithm of PI over the field's
        background, everything else a probability.

        Raises:
            InputError: If the model predicts no maps.
        """
        scorer = self._stain()
        return dict(zip(scorer.network.outputs, scorer.maps(fields, number), strict=True))

    def cells(self, fields: Fields, number: int) -> NDArray[np.float64]:
        """Share of each place of one field that is of cells, shape ``(height, width)``; errors as of ``maps``."""
        return self._stain().cells(fields, number)

    def live_tiles(self, fields: Fields, number: int) -> NDArray[np.float64] | None:
        """P(live) of each tile of one field, shape ``(height, width)`` in tiles; None of a model without tiles."""
        if not isinstance(self.scorer, MapPredictor):
            return None
        ((_, maps),) = self.scorer.maps(fields, [number])
        gives = self.checkpoint.output
        return self.scorer.live_tiles(maps, temperature=gives.temperature, offset=gives.offset)

    def nuclei(self, fields: Fields, number: int) -> pd.DataFrame:
        """Predicted nuclei of one field, ``y`` and ``x`` of each in pixels, and ``dead``.

        Raises:
            InputError: If the model predicts none.
        """
        maps = self.maps(fields, number)
        if "dead" not in maps:
            raise InputError("the model predicts no nuclei", advice="give a run that predicts them")
        known = places(~fields.no_data(number)) >= MIN_VALID  # where there are no data the maps say nothing
        return nuclei_of_maps(maps["dead"] * known, maps["live"] * known)

    def shares(self, fields: Fields, numbers: list[int]) -> pd.DataFrame:
        """Predicted dead share and nuclei of whole fields; as ``StainPredictor.shares``.

        Raises:
            InputError: If the model predicts no maps.
        """
        return self._stain().shares(fields, numbers)

    def _stain(self) -> StainPredictor:
        if not isinstance(self.scorer, StainPredictor):
            raise InputError(
                f"the model answers task={self.checkpoint.task}, and maps are predicted by task=stain",
                advice="give a run that predicts maps",
            )
        return self.scorer

    def live_scores(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float64]:
        """P(live) of patches, shape ``(n,)``; arguments as of ``logits``."""
        return live_score(self.logits(fields, rows), temperature=self.checkpoint.output.temperature)

    def scores(self, image: NDArray[Any], *, stride: int | None = None) -> pd.DataFrame:
        """P(live) of all patches of one bright-field image.

        Args:
            image: As its file holds it, uint8, uint16 or floating-point, shape ``(height, width)``.
            stride: Pixels from one patch to the next; None for half a patch (paper: "Patches").

        Returns:
            A row for each whole patch: ``y`` and ``x`` of its top-left corner in pixels, ``score``, and ``empty``,
            whether the filter that the training patches passed takes it for one without cells; None where the model
            has no such filter.

        Raises:
            InputError: If the image is smaller than a patch, has not two dimensions, or numbers that the training's
                8-bit scaling cannot convert.
        """
        fields = self.fields_of([image])
        rows = self.patches_of(fields, 0, stride=stride)
        return rows[["y", "x"]].assign(score=self.live_scores(fields, rows), empty=self.empty(fields, rows))

    def fields_of(self, images: Sequence[NDArray[Any]]) -> RawFields:
        """Images as their files hold them, turned into 8 bits as the training's were; as of ``RawFields``."""
        takes = self.checkpoint.input
        return RawFields(images, scaling=Scaling(**takes.scaling), bit_depth=takes.bit_depth, bit_shift=takes.bit_shift)

    def patches_of(
        self, fields: Fields, number: int, *, stride: int | None, to_the_edges: bool = False
    ) -> pd.DataFrame:
        """Whole patches of one field: ``field``, ``y`` and ``x`` of the top-left corner, row by row.

        Args:
            fields: Where the field is.
            number: Of the field.
            stride: Pixels from one patch to the next; None for half a patch (paper: "Patches").
            to_the_edges: Whether a last row and column of patches reach the edges, so that every pixel is in one.

        Raises:
            InputError: If the field is smaller than a patch.
        """
        size = self.checkpoint.input.patch_size
        height, width = fields.field(number).shape
        if min(height, width) < size:
            raise InputError(f"the image is {width} x {height} px, and a patch {size} x {size}")
        origins = covering_origins if to_the_edges else patch_origins
        y, x = origins(height, width, size=size, stride=stride or size // 2)
        return pd.DataFrame({"field": np.full(len(y), number, np.int32), "y": y, "x": x})

    def empty(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.bool_] | None:
        """Which patches the filter takes for ones without cells, shape ``(n,)``; None where the model has no filter."""
        return None if self._filter is None else self._filter(fields, rows)


def open_predictor(
    run_or_checkpoint: Path, *, accelerator: str | None = None, device_index: int = 0, cache: Path | None = None
) -> Predictor:
    """Open the model of a run's folder or of a checkpoint; arguments as of ``Predictor``.

    Raises:
        InputError: If there is none, it cannot be read, or there is no such device.
    """
    checkpoint, _ = find_checkpoint(run_or_checkpoint)
    return Predictor(read_checkpoint(checkpoint), accelerator=accelerator, device_index=device_index, cache=cache)
