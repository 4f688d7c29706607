"""What networks are trained on: the processor, or a graphics card where Paddle can use one."""

from models.errors import UsageError
from models.framework import paddle

DEVICES = ("cpu", "gpu")


def use(device: str, processes: int = 1) -> None:
    """Settle it for this process, before anything is made or written.

    Args:
        device: one of `DEVICES`.
        processes: how many train together on this machine, each on a card of its own.

    Raises:
        UsageError: there is no such device here.
    """
    if device == "gpu":
        _check(processes)
    paddle.set_device(device)


def on_gpu() -> bool:
    """Whether networks are trained on a graphics card."""
    return bool(paddle.get_device().startswith("gpu"))


def _check(processes: int) -> None:
    if not paddle.device.is_compiled_with_cuda():
        raise UsageError(
            f"--device gpu: the installed Paddle {paddle.__version__} was built for processors "
            "alone and cannot use a graphics card. Install the same version of paddlepaddle-gpu "
            "in its place, or leave --device away."
        )
    cards = paddle.device.cuda.device_count()
    if cards < processes:
        raise UsageError(
            f"--device gpu: each process trains on a card of its own; there are {processes} "
            f"processes, and Paddle finds {cards or 'no'} cards. Look at the driver and "
            "CUDA_VISIBLE_DEVICES, take fewer processes, or leave --device away."
        )
