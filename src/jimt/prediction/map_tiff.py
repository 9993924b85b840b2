"""Maps of a field as a float OME-TIFF with named channels and physical pixel sizes, for ImageJ and napari."""

import uuid
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile

from jimt.prediction.answer_tables import printable
from jimt.prediction.answers import FieldAnswer
from jimt.system.files import written_whole

DEAD_CHANNEL: Final = "probability of death"
_MICROMETRES_A_CENTIMETRE: Final = 1e4


def write_map_tiff(answer: FieldAnswer, path: Path) -> None:
    """Write the map of death and what else is predicted, a pixel for each place; the same answer is the same content.

    Args:
        answer: Of the field; a place where nothing is known is NaN.
        path: Of the file.
    """
    named = {DEAD_CHANNEL: answer.dead_map} | answer.maps
    channels = np.stack([np.asarray(values, np.float32) for values in named.values()])
    name = "".join(letter if letter.isprintable() else "�" for letter in printable(answer.row.raw_image_id))
    # of the content, where tifffile would take the time and the machine
    identity = uuid.uuid5(uuid.NAMESPACE_OID, name + channels.tobytes().hex())
    metadata: dict[str, Any] = {"axes": "CYX", "Name": name, "Channel": {"Name": list(named)}, "UUID": str(identity)}
    options: dict[str, Any] = {}
    if answer.row.pixel_size_um is not None:
        side = answer.row.pixel_size_um * answer.place / answer.row.zoom
        metadata |= {"PhysicalSizeX": side, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": side, "PhysicalSizeYUnit": "µm"}
        options = {"resolution": (_MICROMETRES_A_CENTIMETRE / side,) * 2, "resolutionunit": "CENTIMETER"}
    with written_whole(path) as file:
        tifffile.imwrite(
            file, channels, ome=True, photometric="minisblack", compression="zlib", metadata=metadata, **options
        )
