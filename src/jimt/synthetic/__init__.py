"""A simulated microscope: bright-field/PI pairs with known cells, for tests and for trying jimt without data."""

from jimt.synthetic.cells import Monolayer, grow_monolayer
from jimt.synthetic.microscope import Field, Microscope, Well, draw_well, simulate_field
from jimt.synthetic.plate_plan import DoseResponse
from jimt.synthetic.writer import simulate_dataset

__all__ = [
    "DoseResponse",
    "Field",
    "Microscope",
    "Monolayer",
    "Well",
    "draw_well",
    "grow_monolayer",
    "simulate_dataset",
    "simulate_field",
]
