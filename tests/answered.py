"""Answers as prediction gives them, made up: with names that nobody should trust, of fields drawn here."""

import dataclasses

import numpy as np
import pandas as pd

from jimt.prediction.answers import FieldAnswer, FieldRow

HOSTILE = (
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    'quo"te',
    "com,ma;=1+1",
    "new\nline",
    "tab\tand\rreturn",
    "@SUM(A1)",
    "+1-1",
    "-2+3",
    "'quoted'",
    "日本語 ＝1",
    "％ 100%25 #1?x=1&y",
    "</script><img src=x onerror=alert(2)>",
    "caf\udce9",
    "{{ 7 * 7 }}",
)


def row(number: int = 0, name: str = "field", **told) -> FieldRow:
    """A field that was answered, a share of patches where nothing else is told."""
    given = {"file": f"images/{name}.tif", "plate": None, "well": None, "field": None, "time": None} | told
    of_answer = {
        "height": 96,
        "width": 128,
        "share_of": "patches",
        "dead_share": 0.25,
        "dead_share_low": 0.2,
        "dead_share_high": 0.35,
        "n_patches": 6,
        "n_empty": 1,
        "n_uncertain": 2,
        "distance": 0.5,
    }
    return FieldRow(number=number, raw_image_id=name, **{**of_answer, **given})


def failed(number: int, name: str, why: str, **told) -> FieldRow:
    names = {"file": f"images/{name}.tif", "plate": None, "well": None, "field": None, "time": None} | told
    return FieldRow(number=number, raw_image_id=name, failed=why, **names)


def patches(n: int, *, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "y": np.arange(n) * 32.0,
            "x": np.arange(n) * 16.5,
            "score": rng.random(n).astype(np.float32),
            "empty": [None] * n if seed % 2 else rng.random(n) < 0.2,
            "uncertain": rng.random(n) < 0.3,
        }
    )


def answer(of: FieldRow | None = None, *, dead: np.ndarray | None = None, place: int = 4, **maps) -> FieldAnswer:
    """A field of noise with a round dead region, or with the dead map given."""
    of = of or row()
    assert of.height is not None
    assert of.width is not None
    height, width = round(of.height * of.zoom), round(of.width * of.zoom)
    shape = (-(-height // place), -(-width // place))
    if dead is None:
        y, x = np.indices(shape) * place
        dead = np.where(np.hypot(y - height / 2, x - width / 2) < height / 4, 0.9, 0.1)
        dead[: shape[0] // 8] = np.nan
    rng = np.random.default_rng(of.number)
    field = rng.integers(90, 150, (height, width)).astype(np.uint8)
    of = dataclasses.replace(of)
    kept = {name: values.astype(np.float32) for name, values in maps.items()}
    return FieldAnswer(
        of, field, patches(of.n_patches or 0, seed=of.number), 64.0, place, dead.astype(np.float32), kept
    )
