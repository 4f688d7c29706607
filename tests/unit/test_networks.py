"""Every named network answers, in stages that can be frozen; wrong names and sizes are told."""

import numpy as np
import pytest

from models import networks
from models.errors import UsageError
from models.framework import paddle
from models.networks import NetworkSpec, build

OWN = [
    ("face_cnn", 1, 96), ("face_cnn", 3, 40), ("gabor", 1, 96), ("mobilenet_face", 3, 64),
    ("mobilenet_v2", 3, 64), ("mobilenet_v2", 1, 33), ("efficientnet_lite0", 3, 64),
]  # fmt: skip
NORMED = [("face_cnn", 1), ("mobilenet_face", 3), ("mobilenet_v2", 3), ("efficientnet_lite0", 3)]
PADDLECLAS = [
    ("PPLCNet_x1_0", 64), ("MobileNetV3_small_x1_0", 64), ("ResNet18", 32), ("ResNet50", 32),
    ("InceptionV3", 75), ("DenseNet121", 32), ("EfficientNetB0", 32), ("ShuffleNetV2_x1_0", 32),
]  # fmt: skip


def picture(channels: int, size: int, count: int = 2) -> object:
    values = np.random.default_rng(0).normal(0, 60, (count, channels, size, size))
    return paddle.to_tensor(values.astype(np.float32))


def answer(network: object, x: object) -> np.ndarray:
    network.eval()
    with paddle.no_grad():
        return network(x).numpy()


@pytest.mark.parametrize(("name", "channels", "size"), OWN)
def test_own_networks_answer(name: str, channels: int, size: int) -> None:
    network = build(NetworkSpec(name), 7, channels, size)
    assert answer(network, picture(channels, size)).shape == (2, 7)


@pytest.mark.parametrize(("name", "size"), PADDLECLAS)
def test_paddleclas_networks_answer_with_a_new_head(name: str, size: int) -> None:
    network = build(NetworkSpec(name), 5, 3, size)
    out = answer(network, picture(3, size))
    assert out.shape == (2, 5)
    assert np.isfinite(out).all()
    assert len(network.stages()) > 2


@pytest.mark.parametrize(("name", "size"), [("resnet50", 64), ("densenet121", 32)])
def test_paddles_own_networks_give_a_map_and_stages_that_learn(name: str, size: int) -> None:
    network = build(NetworkSpec(name), 5, 3, size)
    assert answer(network, picture(3, size)).shape == (2, 5)
    assert network.trunk(picture(3, size)).ndim == 4, "what decided can be shown"
    assert len(network.stages()) > 4 and all(stage.parameters() for stage in network.stages())


@pytest.mark.parametrize("name", ["VGG16", "VGG19"])
def test_the_large_vggs_answer_below_224_pixels(name: str) -> None:
    network = build(NetworkSpec(name), 3, 3, 32)
    assert answer(network, picture(3, 32, 1)).shape == (1, 3)


def test_a_network_can_be_built_again_in_one_process() -> None:
    for name in ("DenseNet121", "EfficientNetB0", "ShuffleNetV2_x1_0", "face_cnn"):
        channels = 1 if name == "face_cnn" else 3
        paddle.seed(3)
        one = build(NetworkSpec(name), 2, channels, 32)
        paddle.seed(3)
        two = build(NetworkSpec(name), 2, channels, 32)
        x = picture(channels, 32)
        assert np.array_equal(answer(one, x), answer(two, x))


@pytest.mark.parametrize(
    ("name", "size", "says"),
    [
        ("resnet18", 64, "Did you mean ResNet18"),  # case
        ("MobilNetV3_smal_x1_0", 64, "Did you mean MobileNetV3_small_x1_0"),  # spelling
        ("mobilenetface", 64, "Did you mean mobilenet_face"),  # our own are offered too
        ("qqq", 64, "Try .*face_cnn"),  # nothing near
        ("resnet5", 64, "Did you mean ResNet50|resnet50"),  # one of paddle.vision's is offered too
        ("InceptionV3", 64, "at least 75 pixels"),
        ("face_cnn", 16, "at least 32 pixels"),
        ("SqueezeNet1_1", 64, "no linear head"),
    ],
)
def test_wrong_names_and_sizes_are_told(name: str, size: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        build(NetworkSpec(name), 2, 3, size)


@pytest.mark.parametrize("name", ["ResNet18", "resnet50"])
def test_networks_made_for_colour_are_shown_grey_three_times_over(name: str) -> None:
    network = build(NetworkSpec(name), 2, 1, 64)
    grey = picture(1, 64)
    colour = paddle.concat([grey] * 3, axis=1)
    out = answer(network, grey)
    network.trunk.grey = False
    assert out.shape == (2, 2) and np.allclose(answer(network, colour), out, atol=1e-5)


def test_freezing_leaves_only_the_head_and_the_last_stages_open() -> None:
    network = build(NetworkSpec("face_cnn"), 3, 1, 32)
    network.freeze(1)
    open_names = {n for n, p in network.named_parameters() if not p.stop_gradient}
    assert all(name.startswith(("trunk.stages.3", "head")) for name in open_names)
    assert {"head.weight", "head.bias"} < open_names
    before = {n: v.numpy() for n, v in network.state_dict().items()}
    network.train()
    optimizer = paddle.optimizer.SGD(
        0.1, parameters=[p for p in network.parameters() if not p.stop_gradient]
    )
    network(picture(1, 32)).sum().backward()
    optimizer.step()
    moved = {n for n, v in network.state_dict().items() if not np.array_equal(v.numpy(), before[n])}
    assert moved and all(name.startswith(("trunk.stages.3", "head")) for name in moved)
    network.freeze(None)
    assert not any(p.stop_gradient for p in network.parameters())


@pytest.mark.parametrize("trainable", [4, 7, 99])
def test_opening_more_stages_than_there_are_opens_all(trainable: int) -> None:
    network = build(NetworkSpec("face_cnn"), 3, 1, 32)
    assert len(network.stages()) == 4
    network.freeze(1)
    network.freeze(trainable)
    assert not any(p.stop_gradient for p in network.parameters())
    assert network.closed(trainable) == 0


def test_pooling_two_by_one_keeps_top_and_bottom_apart() -> None:
    network = build(NetworkSpec("face_cnn", pool=(2, 1)), 2, 1, 64)
    assert network.head.weight.shape[0] == 2 * network.trunk.width
    top, bottom = np.zeros((1, 1, 64, 64), np.float32), np.zeros((1, 1, 64, 64), np.float32)
    top[..., :16, :], bottom[..., -16:, :] = 1, 1
    network.eval()
    width = network.trunk.width
    features = network.features(paddle.to_tensor(np.concatenate([top, bottom]))).numpy()
    change = np.abs(features[0] - features[1])
    assert change[:width].sum() > 0 and change[width:].sum() > 0


@pytest.mark.parametrize(("name", "channels"), NORMED)
def test_folding_batch_norm_changes_no_answer(name: str, channels: int) -> None:
    network = build(NetworkSpec(name), 4, channels, 64)
    network.train()
    network(picture(channels, 64, 4))  # so that the statistics are not the identity
    x = picture(channels, 64)
    before = answer(network, x)
    networks.fold_batch_norm(network)
    norms = [x for x in network.sublayers() if isinstance(x, paddle.nn.BatchNorm2D)]
    assert not norms
    assert np.allclose(answer(network, x), before, atol=1e-4)


def test_mobilenet_v2_is_paddles_own_tensor_by_tensor() -> None:
    """Paddle's has the layout of torchvision's: what is published for one fits the other."""
    with paddle.utils.unique_name.guard():
        theirs = paddle.vision.models.mobilenet_v2(num_classes=5)
    paddle.seed(1)
    theirs.train()
    theirs(picture(3, 64, 4) / 60)  # so that the statistics are not the identity
    ours = build(NetworkSpec("mobilenet_v2"), 5, 3, 64)
    values = [value.numpy() for value in theirs.state_dict().values()]
    assert len(values) == 262
    for name, value in zip(ours.state_dict(), values, strict=True):
        ours.state_dict()[name].set_value(value)
    x = picture(3, 64) / 60
    assert np.allclose(answer(ours, x), answer(theirs, x), atol=1e-5)


def test_calibration_changes_no_answer_but_readies_batch_norm_for_training() -> None:
    network = build(NetworkSpec("mobilenet_face", {"pairs": 3}), 4, 3, 64)
    x = picture(3, 64, 8)
    before = answer(network, x)
    networks.calibrate_batch_norm(network, x)
    assert np.allclose(answer(network, x), before, atol=1e-3)
    network.train()
    assert np.allclose(network(x).numpy(), before, atol=0.2)  # batch statistics are the same now


def test_a_spec_survives_model_json() -> None:
    spec = NetworkSpec("mobilenet_face", {"pairs": 9}, (2, 1), 0.3)
    assert NetworkSpec.from_dict({**spec.as_dict(), "parameters": 5}) == spec
