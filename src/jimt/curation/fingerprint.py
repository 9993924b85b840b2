"""What identifies a curation: its settings, its input files and jimt's version."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import jimt
from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.curation.raw_images import Finding

_FORMAT = 5  # of the files that a curation leaves; another one curates anew
# 2: fields.parquet names each field's file and its pixels
# 3: summary.json says how many hand labels of which data sets the empty filter was trained on
# 4: and how many bits no bright-field pixel uses
# 5: the store keeps the fluorescence and what is no data; the manifest has no fold


def fingerprint_of(
    dataset: DatasetConfig,
    curation: CurationConfig,
    finding: Finding,
    reference: dict[str, Any] | None,
    hand_labels: dict[str, str],
) -> str:
    """Identify a curation by its config, its input files (path, size, time of change) and jimt's version."""
    settings = dataclasses.asdict(curation)
    for where in ("output_root", "n_jobs", "executor"):  # change nothing in the result
        del settings[where]
    for where in ("batch_size", "device"):
        del settings["empty_filter"][where]
    description = dataclasses.asdict(dataset)
    del description["how_to_get"], description["simulation"]
    digest = hashlib.sha256(
        json.dumps(
            [jimt.__version__, _FORMAT, description, settings, reference, finding.bad, hand_labels], sort_keys=True
        ).encode()
    )
    extra = [Path(path) for path in (dataset.empty_labels, curation.empty_filter.weights) if path is not None]
    paths = [path for raw in finding.images for path in (raw.brightfield, raw.fluorescence) if path is not None]
    for path in paths + [path for path in extra if path.is_file()]:
        if not path.exists():  # a link that leads nowhere: the reading refuses it by name
            continue
        status = path.stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
