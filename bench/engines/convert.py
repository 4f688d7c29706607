"""A bundle's export as ONNX. Runs in the engines' environment."""

import os
import sys

sys.path += os.environ["HYOJO_PACKAGES"].split(os.pathsep)  # Paddle, which the converter wants

import paddle2onnx


def main(bundle: str, out: str) -> None:
    """Convert."""
    paddle2onnx.export(
        f"{bundle}/inference.json", f"{bundle}/inference.pdiparams", out,
        opset_version=13, optimize_tool="None", verbose=False,  # its optimizer would run pip
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
