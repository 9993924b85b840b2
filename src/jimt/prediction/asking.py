"""Reads one field and asks the model about it, as a command asks for it."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jimt.curation.decoding import BadImageError
from jimt.data.fields import Fields
from jimt.errors import InputError
from jimt.models.checkpoint import Checkpoint, read_checkpoint
from jimt.models.pi_truth import NOT_CHECKED, pi_labels, pi_settings, pi_share
from jimt.models.predictor import Predictor
from jimt.prediction.answers import FieldAnswer, Picture, Source
from jimt.prediction.asked import Asked, channel_of_file, pixel_size_of
from jimt.prediction.field_answer import answer_field, patches_with_data
from jimt.prediction.inputs import DatasetNames
from jimt.prediction.pictures import read_picture
from jimt.prediction.planes import PlaneChoice


@dataclass(frozen=True)
class Opened:
    """What is read of one field.

    Attributes:
        picture: Its bright-field image.
        pi: PI beside it; a sentence where that cannot be read, None where there is none.
    """

    picture: Picture
    pi: Picture | str | None


@dataclass(frozen=True)
class Question:
    """What is asked of all fields of a command alike; small, since a worker of a cluster is given it with each field.

    Attributes:
        checkpoint: The model's file.
        channel: Place of bright-field in a file, or its name; None where there is one channel.
        z: Which plane of several.
        pixel_size: Micrometres; None to go by the files.
        check: Channel of PI, where it lies in the same file; None where answers are not checked.
        accelerator: ``cpu`` or ``gpu``; None for the training's.
    """

    checkpoint: Path
    channel: int | str | None
    z: PlaneChoice
    pixel_size: float | None
    check: int | str | None
    accelerator: str | None


def question_of(asked: Asked, checkpoint: Path, names: DatasetNames | None) -> Question:
    """What a command asks of all its fields.

    Args:
        asked: The command.
        checkpoint: The model's file.
        names: What a data set's settings say; None where none is named.
    """
    channel, pixel_size = channel_of_file(asked, names), pixel_size_of(asked, names)
    return Question(checkpoint, channel, asked.z, pixel_size, asked.check, asked.accelerator)


class Asking:
    """Answers fields, one by one.

    Args:
        predictor: The model.
        question: What is asked of all of them.

    Raises:
        InputError: If answers are to be checked by PI, and the model's cannot be.
    """

    def __init__(self, predictor: Predictor, question: Question) -> None:
        self._predictor, self._question = predictor, question
        self._pi = None if question.check is None else pi_settings(predictor.checkpoint)

    @property
    def predictor(self) -> Predictor:
        """The model."""
        return self._predictor

    def asks(self) -> list[Callable[[Source, Opened], FieldAnswer]]:
        """Ways to ``answer`` at once: on a processor two fields pass side by side, on a graphics card one."""
        if self._predictor.device.type != "cpu":
            return [self.answer]
        return [self.answer, Asking(self._predictor.twin(), self._question).answer]

    @property
    def checkpoint(self) -> Checkpoint:
        """Of the model."""
        return self._predictor.checkpoint

    def _picture(self, source: Source, channel: int | str | None, *, patch_size: int) -> Picture:
        takes = self.checkpoint.input
        return read_picture(
            source,
            channel=channel,
            z=self._question.z,
            pixel_size=self._question.pixel_size,
            model_pixel_size=takes.pixel_size,
            patch_size=patch_size,
            bit_depth=takes.bit_depth,
            bit_shift=takes.bit_shift,
        )

    def read(self, source: Source, of_pi: Source | None) -> Opened:
        """Read bright-field, and PI where it is beside it.

        Args:
            source: The field.
            of_pi: Where its PI is; None where there is none, or answers are not checked.

        Raises:
            InputError: If it cannot be used, or the model was adapted to this very field.
        """
        picture = self._picture(source, self._question.channel, patch_size=self.checkpoint.input.patch_size)
        adaptation = self.checkpoint.record.adaptation
        if adaptation is not None and picture.digest in adaptation.digests:
            raise InputError(
                f"is one of the {len(adaptation.fields)} stained fields that the model was adapted to, and was told "
                "their PI",
                advice="leave it out, or ask the model as it was before",
            )
        if of_pi is None:
            return Opened(picture, None)
        channel = self._question.check if of_pi.path == source.path else None
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


def _noted(answer: FieldAnswer, note: str) -> FieldAnswer:
    return dataclasses.replace(answer, row=dataclasses.replace(answer.row, notes=(*answer.row.notes, note)))


def open_asking(question: Question) -> Asking:
    """Open the model of a command.

    Raises:
        InputError: If the model cannot be opened, or PI cannot check it.
    """
    return Asking(Predictor(read_checkpoint(question.checkpoint), accelerator=question.accelerator), question)


def model_of(question: Question) -> Checkpoint:
    """The model of a command that other machines ask, whether or not this one could.

    Raises:
        InputError: If it cannot be read, or PI cannot check it.
    """
    checkpoint = read_checkpoint(question.checkpoint)
    if question.check is not None:
        pi_settings(checkpoint)
    return checkpoint
