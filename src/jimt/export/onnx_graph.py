"""A model as one ONNX graph: its network, and around it what leads from the raw field to the answer."""

import warnings
from typing import Any, Final

import onnx
import onnx_ir as ir
import torch
from onnx_ir.passes.common import InlinePass
from torch import nn
from torch.export import Dim

from jimt.errors import InputError
from jimt.export.graphs import graph_of
from jimt.export.onnx_files import OPSET
from jimt.export.placed_networks import NETWORK, Blocks, PlacedNetwork, known_padding
from jimt.export.raw_counts import Pixels
from jimt.models.checkpoint import Checkpoint
from jimt.report.progress import part

IMAGE: Final = "image"
"""Name of the one input."""


def onnx_model(checkpoint: Checkpoint, pixels: Pixels, told: dict[str, str]) -> onnx.ModelProto:
    """The graph of a model; its input is ``image``, shape ``(n, 1, height, width)``.

    Args:
        checkpoint: The model.
        pixels: Of the fields that it takes.
        told: What the file is to say of itself, by name.

    Raises:
        InputError: If torch cannot say the network in operations of ONNX, or is too old for it.
    """
    if not hasattr(torch.onnx, "ops"):
        raise InputError(
            f"an export takes torch 2.8 or newer, and this is {torch.__version__}",
            advice="export it on another machine: the run's folder is all it needs",
        )
    placed = PlacedNetwork(checkpoint).eval()
    graph = graph_of(checkpoint, placed, pixels).eval()
    size = checkpoint.input.patch_size
    of_blocks: nn.Module = placed
    if placed.multiple is None:
        seen, sides = torch.zeros(3, 1, size, size), {0: Dim.DYNAMIC}
    else:
        of_blocks = Blocks(placed, placed.multiple).eval()
        seen = torch.zeros(2, 1, 3, placed.multiple, 5, placed.multiple)
        sides = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 4: Dim.DYNAMIC}
    with part(f"{checkpoint.network.name} in operations of ONNX"), known_padding():
        inner = translated(of_blocks, seen, sides, ["grey"], ["found"], checkpoint.network.name)
    fields = torch.zeros(2, 1, 2 * size + 37, 2 * size + 21, dtype=getattr(torch, pixels))
    dynamic = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    with part("what is around it in operations of ONNX"):
        outer = translated(graph, fields, dynamic, [IMAGE], list(graph.outputs), checkpoint.network.name)
    _put_in(inner, outer)
    _name_sides(outer)
    _forget_sources(outer)
    outer.producer_name, outer.producer_version = "jimt", checkpoint.record.versions.get("jimt", "")
    outer.metadata_props.update(told)
    proto = ir.to_proto(outer)
    onnx.checker.check_model(proto)
    return proto


def translated(
    module: nn.Module, example: torch.Tensor, sides: dict[int, Any], inputs: list[str], outputs: list[str], name: str
) -> ir.Model:
    """A module in operations of ONNX.

    Args:
        module: It takes one tensor.
        example: Of what it takes.
        sides: Which of its sides are dynamic.
        inputs: Name of what it takes.
        outputs: Names of what it gives.
        name: Of the network, as a message tells it.

    Raises:
        InputError: If torch cannot say it so.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about itself
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                dynamic_shapes=(sides,),
                input_names=inputs,
                output_names=outputs,
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        lines = str(error.__cause__ or error).strip().splitlines()
        raise InputError(
            f"{name} cannot be exported: torch does not find all it does in ONNX ({lines[0][:200] if lines else ''})",
            advice="train another backbone",
            remedies=("backbone=resnet18",),
        ) from error
    assert program is not None
    return program.model


def _put_in(inner: ir.Model, outer: ir.Model) -> None:
    """Put the network where its stand-ins are; its weights are held once."""
    domain, _, operation = NETWORK.partition("::")
    weights = []
    for name in list(inner.graph.initializers):
        value = inner.graph.initializers.pop(name)
        held = ir.Value(name=f"network.{name}", shape=value.shape, type=value.type, const_value=value.const_value)
        value.const_value = None
        inner.graph.inputs.append(value)
        outer.graph.register_initializer(held)
        weights.append(held)
    function = ir.Function(domain, operation, graph=inner.graph, attributes=())
    outer.functions[function.identifier()] = function
    for node in list(outer.graph):
        if node.domain == domain:
            call = ir.Node(domain, operation, [node.inputs[0], *weights], num_outputs=1)
            call.outputs[0].shape, call.outputs[0].type = node.outputs[0].shape, node.outputs[0].type
            ir.convenience.replace_nodes_and_values(
                outer.graph, node, [node], [call], [node.outputs[0]], [call.outputs[0]]
            )
    InlinePass()(outer)
    outer.opset_imports.pop(domain, None)


def _name_sides(model: ir.Model) -> None:
    """Name the sides of inputs and outputs as a reader would."""
    names = {IMAGE: ("n", "height", "width"), "score": ("n", "rows", "columns")}
    for value in (*model.graph.inputs, *model.graph.outputs):
        assert value.shape is not None
        n, rows, columns = names.get(value.name or "", ("n", f"{value.name}_rows", f"{value.name}_columns"))
        value.shape = ir.Shape([n, value.shape[1], rows, columns])


def _forget_sources(model: ir.Model) -> None:
    """Leave out what torch notes of the files that a graph came from, and of sides within it.

    Their names are of one call of the network, and ONNX Runtime takes what is named alike for equally long.
    """
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
            if not value.is_graph_output():
                value.shape = None
    model.graph.metadata_props.clear()
    model.metadata_props.clear()
