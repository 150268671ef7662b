"""The command ``compress``: a smaller file, and in one line what it costs."""

import argparse
from typing import Any

from rich.text import Text

from efficient360.cli.checkpoint_options import add_checkpoint_options, checkpoint_spec
from efficient360.cli.data_options import add_data_options, dataset_spec
from efficient360.cli.output import Result
from efficient360.cli.output_options import add_output_options, path_option


def add_compress(command: argparse.ArgumentParser) -> None:
    """Give the command its options."""
    command.add_argument("checkpoint", help="name in the embedded zoo, timm name or tag, torchvision:NAME, hf-hub:org/name, or a path to weights")
    command.add_argument("variant", help="half, quantization:BITS, clustering:CLUSTERS, pruning:PERCENT or two_of_four")
    add_checkpoint_options(command)
    command.add_argument("--out", type=path_option, metavar="FILE", help="file to write (default: CHECKPOINT-VARIANT.safetensors)")
    data = command.add_argument_group("what it costs")
    data.add_argument("--dataset", default="", metavar="NAME", help="measure the accuracy lost on this data set, as evaluate takes it, and the time")
    add_data_options(data)
    data.add_argument("--max-examples", type=int, metavar="N", help="size of a stratified, seeded subset")
    data.add_argument(
        "--runtime",
        default="",
        metavar="NAME",
        help="time both networks in this runtime, in turns; none leaves it out (default: with --dataset the first installed of openvino, litert, onnxruntime)",
    )
    data.add_argument("--device", default="local", help="where they are timed: local, limited:1core-2gb, ssh://user@host (default: local)")
    add_output_options(command)


def compress(options: argparse.Namespace) -> int:
    """Compress a checkpoint to a smaller file; print the sizes and what was measured."""
    from efficient360.datasets.references import card_of
    from efficient360.deployment.devices.catalogue import device_from_address
    from efficient360.deployment.runtimes import catalogue
    from efficient360.execution.events import Progress
    from efficient360.methods.compression.checkpoint_effect import NO_RUNTIME, EffectPlan, measure_effect
    from efficient360.methods.compression.compress import compress_checkpoint

    device_from_address(options.device)
    if options.runtime not in ("", NO_RUNTIME):
        catalogue.runtime(options.runtime)
    plan = EffectPlan(_data(options), options.runtime, options.device, options.seed)
    if plan.data is not None:
        card_of(plan.data)  # a bad name is rejected before the work, not after it
    written = compress_checkpoint(checkpoint_spec(options.checkpoint, options), options.variant, options.out)
    with options.console.progress() as listen:
        effect = measure_effect(written, plan, lambda work, done, total: listen(Progress(work, done, total)))
    text = "\n".join([written.summary(), "", effect.line(), *(f"  note: {note}" for note in effect.notes())])
    data = {"checkpoint": written.checkpoint.name, "file": str(written.path), **effect.to_json()}
    # Not wrapped: the line stays one, for whoever searches for it.
    options.console.result(
        Result(lambda: Text(text, no_wrap=True, overflow="ignore"), lambda: Text(effect.line(), no_wrap=True, overflow="ignore"), lambda: data)
    )
    return 0


def _data(options: argparse.Namespace) -> Any:
    if not options.dataset:
        return None
    import dataclasses

    return dataclasses.replace(dataset_spec(options.dataset, options), max_examples=options.max_examples)
