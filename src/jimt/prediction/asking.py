"""Reads, asks and writes one field, as a command asks for it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jimt.curation.decoding import BadImageError
from jimt.data.fields import Fields
from jimt.errors import InputError
from jimt.models.checkpoint import Checkpoint, read_checkpoint
from jimt.models.pi_truth import NOT_CHECKED, PiSettings, pi_labels, pi_settings, pi_share
from jimt.models.predictor import Predictor
from jimt.prediction.answers import FieldAnswer, Picture, Source
from jimt.prediction.asked import Asked, channel_of_file, pixel_size_of
from jimt.prediction.field_answer import answer_field, patches_with_data
from jimt.prediction.field_files import write_field_files
from jimt.prediction.inputs import DatasetNames
from jimt.prediction.pictures import read_picture


@dataclass(frozen=True)
class Opened:
    """What is read of one field.

    Attributes:
        picture: Its bright-field image.
        pi: PI beside it; a sentence where that cannot be read, None where there is none.
    """

    picture: Picture
    pi: Picture | str | None


class Asking:
    """Answers the fields of one command.

    Args:
        predictor: The model.
        asked: The command.
        channel: Place of bright-field in a file, or its name; None where there is one channel.
        pixel_size: Micrometres; None to go by the files.
        pi: How PI tells dead from living; None where answers are not checked.
        of_pi: Where PI of each field is, by its number.
    """

    def __init__(
        self,
        predictor: Predictor,
        asked: Asked,
        *,
        channel: int | str | None,
        pixel_size: float | None,
        pi: PiSettings | None,
        of_pi: dict[int, Source],
    ) -> None:
        self._predictor, self._asked, self._channel = predictor, asked, channel
        self._pixel_size, self._pi, self._of_pi = pixel_size, pi, of_pi

    @property
    def predictor(self) -> Predictor:
        """The model."""
        return self._predictor

    @property
    def checkpoint(self) -> Checkpoint:
        """Of the model."""
        return self._predictor.checkpoint

    def _picture(self, source: Source, channel: int | str | None, *, patch_size: int) -> Picture:
        takes = self.checkpoint.input
        return read_picture(
            source,
            channel=channel,
            z=self._asked.z,
            pixel_size=self._pixel_size,
            model_pixel_size=takes.pixel_size,
            patch_size=patch_size,
            bit_depth=takes.bit_depth,
            bit_shift=takes.bit_shift,
        )

    def read(self, source: Source) -> Opened:
        """Read bright-field, and PI where it is beside it.

        Raises:
            InputError: If it cannot be used, or the model was adapted to this very field.
        """
        picture = self._picture(source, self._channel, patch_size=self.checkpoint.input.patch_size)
        adaptation = self.checkpoint.record.adaptation
        if adaptation is not None and picture.digest in adaptation.digests:
            raise InputError(
                f"is one of the {len(adaptation.fields)} stained fields that the model was adapted to, and was told "
                "their PI",
                advice="leave it out, or ask the model as it was before",
            )
        of_pi = self._of_pi.get(source.number)
        if of_pi is None:
            return Opened(picture, None)
        channel = self._asked.check if of_pi.path == source.path else None
        try:
            stain = self._picture(of_pi, channel, patch_size=1)
        except BadImageError as error:
            told = str(error).replace("--channel", "--check")  # which names the channel of PI
            return Opened(picture, f"its PI {told}")
        if stain.pixels.shape != picture.pixels.shape:
            return Opened(picture, "its PI is of another size")
        return Opened(picture, stain)

    def answer(self, source: Source, opened: Opened) -> FieldAnswer:
        """Ask the model, and hold the answer against PI where that is beside it."""
        fields = self._predictor.fields_of([opened.picture.pixels])
        answer = answer_field(self._predictor, fields, source, opened.picture)
        if self._pi is None or opened.pi is None:
            return answer
        try:
            return self._checked(answer, fields, opened.pi)
        except InputError as error:
            return _noted(answer, f"not held against PI: {error.cause}")

    def _checked(self, answer: FieldAnswer, fields: Fields, pi: Picture | str) -> FieldAnswer:
        assert self._pi is not None
        if isinstance(pi, str):
            raise InputError(pi)
        size = self.checkpoint.input.patch_size
        valid = ~fields.no_data(0)
        rows = patches_with_data(self._predictor, fields)
        labels = pi_labels(pi.pixels, valid, rows, self._pi, size=size)
        empty = answer.patches["empty"]
        occupied = np.ones(len(rows), np.bool_) if empty.isna().all() else ~empty.to_numpy(np.bool_)
        of_nuclei = answer.row.share_of == "nuclei"
        assert answer.row.share_of is not None
        share = pi_share(
            pi.pixels,
            answer.bright_field,
            valid,
            self._pi,
            share_of=answer.row.share_of,
            patches=rows[occupied],
            labels=labels[occupied],
            nuclei=self._predictor.nuclei(fields, 0) if of_nuclei else None,
            size=size,
        )
        patches = answer.patches.assign(label=np.where(occupied, labels, NOT_CHECKED))
        return dataclasses.replace(answer, row=dataclasses.replace(answer.row, pi_share=share), patches=patches)

    def write(self, answer: FieldAnswer) -> None:
        """Write the files of one field."""
        write_field_files(answer, self._asked.out)


def _noted(answer: FieldAnswer, note: str) -> FieldAnswer:
    return dataclasses.replace(answer, row=dataclasses.replace(answer.row, notes=(*answer.row.notes, note)))


def open_asking(asked: Asked, checkpoint: Path, names: DatasetNames | None, of_pi: dict[int, Source]) -> Asking:
    """Open the model of a command.

    Args:
        asked: The command.
        checkpoint: The model's file.
        names: What a data set's settings say; None where none is named.
        of_pi: Where PI of each field is.

    Raises:
        InputError: If the model cannot be opened, or PI cannot check it.
    """
    predictor = Predictor(read_checkpoint(checkpoint), accelerator=asked.accelerator)
    pi = None if asked.check is None else pi_settings(predictor.checkpoint)
    channel, pixel_size = channel_of_file(asked, names), pixel_size_of(asked, names)
    return Asking(predictor, asked, channel=channel, pixel_size=pixel_size, pi=pi, of_pi=of_pi)
