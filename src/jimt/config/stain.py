"""Settings of a network that predicts the stain: ``task=stain``."""

from dataclasses import dataclass, field

from jimt.config.checks import NOT_NEGATIVE, NULL_OR_ONE_OR_MORE, ONE_OR_MORE, POSITIVE, SHARE, Settings, one_of, takes
from jimt.errors import InputError
from jimt.vocabulary import MULTIPLE


@dataclass
class StainConfig(Settings, section="stain"):
    """What is predicted of each place of a field, and how the network is shown it."""

    decoder: str = field(metadata=one_of("fpn", "unet"))
    """What makes maps of the backbone's features, by segmentation-models-pytorch: a feature pyramid, or a U-Net."""
    channels: int = field(metadata=takes("a multiple of 32", lambda value: value > 0 and value % 32 == 0))
    """Channels of the feature pyramid, or of the first block of the U-Net: what the decoder costs."""
    reduction: int = field(metadata=takes("1, 2 or 4", lambda value: value in (1, 2, 4)))
    """Pixels of a field that become one of the network's, along y and x; a field costs so much less, squared."""
    decoder_lr: float = field(metadata=POSITIVE)
    """Learning rate of the decoder, which begins at random weights; ``optim.lr`` is the backbone's."""
    log_pi: float = field(metadata=NOT_NEGATIVE)
    """Weight of the loss of log(PI / background); 0 leaves it out."""
    positive: float = field(metadata=NOT_NEGATIVE)
    """Of PI-positive pixels, by ``curation.label.positive``; likewise."""
    nuclei: float = field(metadata=NOT_NEGATIVE)
    """Of dead and living nuclei; likewise."""
    nuclei_of: str | None = field(metadata=one_of("cells", "nuclei"))
    """Where nuclei are taken from: counted ``cells`` (``dataset.cells``), or all ``nuclei`` on their stain
    (``dataset.nuclei``), dead where they are PI-positive. Null where ``nuclei`` is 0."""
    nucleus_radius: float = field(metadata=POSITIVE)
    """Radius in pixels of the disc that a nucleus is drawn as."""
    smoothing: float = field(metadata=NOT_NEGATIVE)
    """Standard deviation in pixels of the Gaussian that PI is smoothed with before its logarithm is taken."""
    crop: int | None = field(metadata=NULL_OR_ONE_OR_MORE)
    """Side in pixels of what is cut from a field at random, a multiple of 32 times ``reduction``; null: the field."""
    crops: int = field(metadata=ONE_OR_MORE)
    """Crops, or whole fields, an epoch over all devices."""
    positive_crops: float = field(metadata=SHARE)
    """Share of the crops whose centre is PI-positive or in a dead nucleus, where the field has any."""
    balance_groups: bool
    """A group is drawn by the square root of its number of fields: large experiments would else outvote the others."""

    @property
    def multiple(self) -> int:
        """Pixels that the side of what the network is shown is a multiple of."""
        return MULTIPLE * self.reduction

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop is not None and self.crop % self.multiple:
            crops = [side for side in (self.crop // self.multiple * self.multiple,) if side]
            crops.append((self.crop // self.multiple + 1) * self.multiple)
            raise InputError(
                f"stain.crop={self.crop} is no multiple of {self.multiple} pixels, as stain.reduction={self.reduction} "
                "needs",
                remedies=tuple(f"stain.crop={side}" for side in crops),
            )
        if not any((self.log_pi, self.positive, self.nuclei)):
            raise InputError(
                "stain.log_pi, stain.positive and stain.nuclei are all 0, so nothing is to be predicted",
                remedies=("stain.log_pi=1",),
            )
        if (self.nuclei > 0) != (self.nuclei_of is not None):
            raise InputError(
                f"stain.nuclei={self.nuclei:g} and stain.nuclei_of={self.nuclei_of or 'null'}: nuclei are predicted "
                "from what tells where they lie",
                remedies=("stain.nuclei=1 stain.nuclei_of=cells", "stain.nuclei=0 stain.nuclei_of=null"),
            )
        if self.crop is None and self.positive_crops > 0:
            raise InputError(
                f"stain.positive_crops={self.positive_crops:g} is without effect on whole fields",
                remedies=("stain.positive_crops=0", "stain.crop=256"),
            )
