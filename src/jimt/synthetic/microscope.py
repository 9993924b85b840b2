"""The instrument: light, focus, spill-over and camera turn a monolayer into a 16-bit bright-field/PI pair.

Modelled on an Olympus ScanR at 20x, 0.3225 um per px, with a scientific CMOS camera.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.synthetic.cells import Monolayer, between, grow_monolayer
from jimt.synthetic.drawing import draw_stain, draw_transmittance
from jimt.synthetic.random_fields import FloatImage, gaussian_blur, rise_above_quantile, smooth_field

# camera: data sheet values of a common scientific CMOS (ORCA-Flash4.0)
OFFSET: Final = 100.0  # counts at no light
ELECTRONS_PER_COUNT: Final = 0.46
READ_NOISE: Final = 1.6  # electrons rms

PIXEL_SIZE: Final = 0.3225  # um; 20x
MARGIN: Final = 48  # px simulated around the image, so that cells and spill-over enter from outside
LIGHT: Final = 21000.0  # counts of bare plastic; a third of the camera's range
EXPOSURE: Final = (1.4, 0.35)  # share of LIGHT at difficulty 0 and 1: less light, more noise
SHADING: Final = (0.12, 0.10)  # fall-off to the corners, bright-field and PI

PI_COUNTS: Final = 4900.0  # of a dead nucleus: brings dead patches to about 500 counts (paper: 550 +- 154)
PI_BACKGROUND: Final = 85.0  # of medium, above the offset: live patches come to about 220 counts (paper: 224 +- 34)
PI_AUTOFLUORESCENCE: Final = 8.0  # counts of any cell
SPILL: Final = 0.40  # share of a nucleus' light that arrives out of focus
SPILL_SIGMA: Final = 38.0  # px; reaches beyond one cell

FOCUS: Final = (0.7, 1.7)  # sigma px of the usual blur at difficulty 0 and 1
FOCUS_SCATTER: Final = 0.25  # log-normal, from place to place
LOST_FOCUS: Final = 11.0  # sigma px where focus is lost: nothing is recognisable
LOST_LENGTH: Final = 110.0  # px
LOST_SOFTNESS: Final = 0.3  # in standard deviations of the map: focus is lost gradually
BLUR_LEVELS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # sigma px; blurs in between are mixed from two of them


@dataclass(frozen=True)
class Well:
    """What the fields of one well have in common."""

    light: float
    """Lamp level relative to the usual one."""
    contrast: float
    """Bright-field contrast relative to the usual one."""
    focus: float
    """Usual blur relative to the usual one."""
    pi_gain: float
    """PI taken up relative to the usual amount."""
    pi_background: float
    """PI in the medium, counts above the camera's offset."""
    look_shift: float
    """How much more dead the cells look than usual; see :mod:`jimt.synthetic.cells`."""
    death_shift: float
    """How much more are dead, added to the log-odds of the treatment's ``dead_fraction``."""


def draw_well(rng: np.random.Generator, *, difficulty: float) -> Well:
    """Draw the conditions of one well.

    Args:
        rng: Source of randomness.
        difficulty: 0 (trivial) to 1; wells differ more when it is high.
    """
    return Well(
        light=float(np.exp(rng.normal(0, 0.10))),
        contrast=float(np.exp(rng.normal(0, 0.10 + 0.1 * difficulty))),
        focus=float(np.exp(rng.normal(0, 0.15))),
        pi_gain=float(np.exp(rng.normal(0, 0.10))),
        pi_background=PI_BACKGROUND + float(rng.normal(0, 8)),
        look_shift=float(rng.normal(0, 0.16 * difficulty)),
        death_shift=float(rng.normal(0, 0.3)),
    )


@dataclass(frozen=True)
class Microscope:
    """In what another microscope differs from the usual one.

    Attributes:
        pixel_size: Micrometres.
        light: That the camera gets in bright-field, relative to the usual: with less of it noise is stronger.
        contrast: Of cells in bright-field, likewise.
    """

    pixel_size: float
    light: float
    contrast: float


USUAL: Final = Microscope(PIXEL_SIZE, light=1.0, contrast=1.0)


@dataclass(frozen=True)
class Field:
    """One simulated pair and its truth; all images have the shape ``(height, width)``."""

    brightfield: NDArray[np.uint16]
    fluorescence: NDArray[np.uint16]
    """Propidium iodide, camera counts."""
    defocus: FloatImage
    """Blur of the optics, sigma in px."""
    cells: Monolayer
    """Cells whose centres may lie outside the image."""


def _focus(image: FloatImage, defocus: FloatImage) -> FloatImage:
    """Blur each pixel by its own sigma."""
    step = np.clip(np.log2(defocus / BLUR_LEVELS[0]), 0, len(BLUR_LEVELS) - 1)
    result = np.zeros_like(image)
    for level, sigma in enumerate(BLUR_LEVELS):
        weight = np.clip(1 - np.abs(step - level), 0, None)
        if weight.any():
            result += weight * gaussian_blur(image, sigma=sigma)
    return result


def _illumination(rng: np.random.Generator, shape: tuple[int, int], shading: float) -> FloatImage:
    """Fall off from an off-centre maximum, with a slow ripple; mean 1."""
    rows, columns = shape
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None] - np.float32(rng.normal(0, 0.25))
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :] - np.float32(rng.normal(0, 0.25))
    ripple = smooth_field(rng, height=rows, width=columns, length=max(shape) / 6)
    light = 1 - shading * (y**2 + x**2) / 2 + 0.01 * ripple
    return np.asarray(light / light.mean(), np.float32)


def _expose(rng: np.random.Generator, counts: FloatImage) -> NDArray[np.uint16]:
    """Add shot noise (normal, at these levels as good as Poisson), read noise and offset; clip to 16 bit."""
    noise = np.sqrt(np.clip(counts, 0, None) * ELECTRONS_PER_COUNT + READ_NOISE**2) / ELECTRONS_PER_COUNT
    noisy = counts + noise * rng.standard_normal(counts.shape, dtype=np.float32)
    return np.asarray(np.clip(np.round(noisy + OFFSET), 0, 65535), np.uint16)


def simulate_field(
    rng: np.random.Generator,
    *,
    height: int,
    width: int,
    dead_fraction: float,
    bare_fraction: float,
    unfocused_fraction: float,
    difficulty: float,
    well: Well,
    microscope: Microscope = USUAL,
) -> Field:
    """Simulate one raw image pair.

    Args:
        rng: Source of randomness.
        height: Rows, px.
        width: Columns, px.
        dead_fraction: Share of the area that death has struck, 0 to 1, before the well's shift.
        bare_fraction: Share of the area without cells, 0 to 1.
        unfocused_fraction: Share of the area where focus is lost, 0 to 1.
        difficulty: 0 (trivial) to 1 (live and dead hardly differ in bright-field).
        well: Conditions shared with the other fields of the well.
        microscope: What it is imaged with.
    """
    zoom = PIXEL_SIZE / microscope.pixel_size  # cells and optics are simulated at the usual pixels
    rows, columns = round(height / zoom), round(width / zoom)
    full = {"height": rows + 2 * MARGIN, "width": columns + 2 * MARGIN}
    if 0 < dead_fraction < 1:
        dead_fraction = 1 / (1 + (1 / dead_fraction - 1) * float(np.exp(-well.death_shift)))
    cells = grow_monolayer(
        rng,
        **full,
        dead_fraction=dead_fraction,
        bare_fraction=bare_fraction,
        difficulty=difficulty,
        look_shift=well.look_shift,
    )
    usual = between(FOCUS, difficulty) * well.focus * np.exp(FOCUS_SCATTER * smooth_field(rng, **full, length=90))
    lost_map = smooth_field(rng, **full, length=LOST_LENGTH)
    lost = rise_above_quantile(lost_map, share=unfocused_fraction, softness=LOST_SOFTNESS)
    defocus: FloatImage = usual + lost * LOST_FOCUS

    transmittance = 1 + well.contrast * microscope.contrast * (draw_transmittance(rng, cells) - 1)
    light = LIGHT * between(EXPOSURE, difficulty) * well.light * microscope.light
    stain = PI_COUNTS * well.pi_gain * draw_stain(rng, cells)
    stain = (1 - SPILL) * _focus(stain, defocus) + SPILL * gaussian_blur(stain, sigma=SPILL_SIGMA)
    glow = well.pi_background + PI_AUTOFLUORESCENCE * gaussian_blur((cells.label > 0).astype(np.float32), sigma=4)

    view = (slice(MARGIN, MARGIN + rows), slice(MARGIN, MARGIN + columns))
    lamp = light * _illumination(rng, (height, width), SHADING[0])
    laser = _illumination(rng, (height, width), SHADING[1])
    through, shines, blur = (
        _on_camera(image[view], (height, width)) for image in (_focus(transmittance, defocus), glow + stain, defocus)
    )
    return Field(
        brightfield=_expose(rng, lamp * through),
        fluorescence=_expose(rng, laser * shines),
        defocus=blur * np.float32(zoom),
        cells=Monolayer(
            label=_nearest(cells.label[view], (height, width)),
            edge_distance=_on_camera(cells.edge_distance[view], (height, width)) * np.float32(zoom),
            y=(cells.y - MARGIN) * np.float32(zoom),
            x=(cells.x - MARGIN) * np.float32(zoom),
            dead=cells.dead,
            look=cells.look,
        ),
    )


def _on_camera(image: FloatImage, shape: tuple[int, int]) -> FloatImage:
    """An image at the pixels of the camera, each of which gathers what falls on it."""
    if image.shape == shape:
        return image
    how = cv2.INTER_AREA if shape[0] < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=how), np.float32)


def _nearest(label: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Likewise of what has no values in between."""
    rows, columns = (
        np.minimum((np.arange(n) + 0.5) * old / n, old - 1).astype(np.intp)
        for n, old in zip(shape, label.shape, strict=True)
    )
    return np.asarray(label[np.ix_(rows, columns)])
