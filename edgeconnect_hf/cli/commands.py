"""`edgeconnect convert`, `export`, `push` and `demo`: thin calls of the package's other modules."""

import argparse

from .device import load_pipeline, silence_diffusers, torch_dtype


def run_convert(args: argparse.Namespace) -> int:
    """`edgeconnect convert`."""
    from ..formats.published import convert_checkpoints

    convert_checkpoints(args.edge_checkpoint, args.completion_checkpoint, args.output, dtype=torch_dtype(args.dtype))
    print(f"wrote {args.output}; use it with `--model {args.output}`")
    return 0


def run_export(args: argparse.Namespace) -> int:
    """`edgeconnect export`."""
    try:
        from ..formats.onnx import export_onnx
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnxscript"):
            raise
        raise ValueError("`edgeconnect export` needs ONNX: pip install 'edgeconnect-hf[onnx]'.") from None
    from ..pipeline import EdgeConnectPipeline

    silence_diffusers()
    pipeline = EdgeConnectPipeline.from_pretrained(args.model)
    for path in export_onnx(pipeline, args.output, dtype=torch_dtype(args.dtype), end_to_end=args.end_to_end):
        print(path)
    return 0


def run_push(args: argparse.Namespace) -> int:
    """`edgeconnect push`."""
    from ..hub import push_folder, push_space

    silence_diffusers()
    commit = push_folder(
        args.folder,
        args.repo_id,
        private=args.private or None,
        commit_message=args.message,
        push_validation_pictures=args.push_validation_pictures,
    )
    print(commit)
    if args.space is not None:
        print(push_space(args.space, [commit.repo_url.repo_id], private=args.private or None))
    return 0


def run_demo(args: argparse.Namespace) -> int:
    """`edgeconnect demo`."""
    try:
        from ..demo import build_demo, launch
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise ValueError("`edgeconnect demo` needs Gradio: pip install 'edgeconnect-hf[demo]'.") from None
    from ..serving.limits import Limits

    limits = Limits.from_flags(args)
    pipeline = load_pipeline(args.model, args.device, args.dtype)
    launch(build_demo(pipeline, limits=limits), host=args.host, port=args.port, root_path=args.root_path)
    return 0
