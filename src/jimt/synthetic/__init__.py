"""A simulated microscope: bright-field/PI pairs with known cells, for tests and for trying jimt without data."""

from jimt.synthetic.cells import Monolayer, grow_monolayer
from jimt.synthetic.dataset import simulate_dataset
from jimt.synthetic.microscope import Field, Well, draw_well, simulate_field

__all__ = ["Field", "Monolayer", "Well", "draw_well", "grow_monolayer", "simulate_dataset", "simulate_field"]
