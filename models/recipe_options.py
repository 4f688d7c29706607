"""The options that decide how a network is trained, for `train.py` and for its sweep."""

import argparse
from typing import Any

from models import balance
from models.descent import OPTIMIZERS
from models.wishes import Wishes


class Group:
    """A group of options.

    Args:
        group: of a parser.
        many: each takes several values, and those that are never compared are left out.
    """

    def __init__(self, group: Any, many: bool) -> None:
        self._group = group
        self._many = many

    def add(self, *names: str, swept: bool = True, **said: Any) -> None:
        """One option, as `add_argument` takes it; `swept`: several values can be compared."""
        if not self._many:
            self._group.add_argument(*names, **said)
        elif swept:
            self._group.add_argument(*names, nargs="+", **said)


def add(parser: argparse.ArgumentParser, many: bool = False) -> None:
    """Add them.

    Args:
        parser: to which.
        many: each takes several values.
    """
    usual = Wishes()
    _network(Group(parser.add_argument_group("network"), many), usual)
    _training(Group(parser.add_argument_group("training"), many), usual)


def _network(group: Group, usual: Wishes) -> None:
    group.add(
        "--network",
        metavar="NAME",
        help="gabor, face_cnn, mobilenet_face, or a PaddleClas network by name such as "
        "PPLCNet_x1_0, MobileNetV3_small_x1_0, ResNet18, ResNet50, VGG16, VGG19, "
        "InceptionV3 or DenseNet121; or one written down as blocks x pixels, each size half of "
        "the one before: '3x64 3x32 2x16 1x8' (default: the --init bundle's; else gabor "
        "for few faces, face_cnn for many, and PPLCNet_x1_0 for whole images)",
    )
    group.add(
        "--width",
        type=int,
        default=usual.width,
        metavar="CHANNELS",
        help="of the first size of a network that is written down; each size has twice as many as "
        "the one before (default: %(default)s)",
    )
    group.add(
        "--init",
        default="auto",
        metavar="BUNDLE",
        help="bundle to take weights from; its head is replaced where labels differ; "
        "none starts from nothing, imagenet:NAME is params/imagenet/NAME, which "
        "`python -m models.zoo fetch NAME` makes (default: auto, params/face where faces are cut)",
    )
    group.add(
        "--freeze",
        metavar="none|all|N",
        help="none trains everything, all only the head, N the head and the last N "
        "stages (default: with --init all; 7 of a bundle of faces where it knows the same labels "
        "and the images are few, or other labels and the images are 2000 to 9999, or with "
        "--with; without --init none)",
    )
    group.add(
        "--head",
        choices=("lda", "ridge", "softmax"),
        help="lda: closed formula on frozen features, needs no epochs; ridge: likewise, on every "
        "place of the map by itself, for people who are in the set (choices are made on random "
        "parts, not on strangers); softmax: by gradient (default: lda with --freeze all, but for "
        "a published network; ridge with --protocol kfold where the set tells its people apart; "
        "else softmax)",
    )
    group.add(
        "--faces",
        choices=("auto", "yes", "no"),
        default="auto",
        help="find, align and cut faces, or use whole images (default: auto, faces "
        "for face sets and for folders whose images nearly all show a large face)",
    )
    group.add(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="side of the network's input (default: the bundle's or the network's; 128 of a "
        "published one, imagenet:NAME)",
    )
    group.add(
        "--colour",
        "--color",
        choices=("auto", "colour", "grey"),
        default=usual.colour,
        help="what the network sees (default: auto, as the network or the bundle wants)",
    )
    group.add(
        "--span",
        type=float,
        metavar="DISTANCES",
        help="side of the square cut around a face, in distances from the eyes to the mouth "
        "(default: the bundle's, else 2.2)",
    )
    group.add(
        "--keep",
        swept=False,
        type=float,
        default=usual.keep,
        metavar="SHARE",
        help="how much of the --init bundle's head stays, 0 to 0.99, where its labels are the "
        "same and the new head is lda: the two sets' statistics are blended (default: %(default)s)",
    )


def _training(group: Group, usual: Wishes) -> None:
    group.add(
        "--epochs",
        type=int,
        help="at most this many (default: 30; where the last stages of a bundle of faces learn "
        "on 15 for the labels it knows, 12 for others; 12 for stages of a published network)",
    )
    group.add(
        "--fixed",
        swept=False,
        action="store_true",
        help="train for exactly --epochs (default: choose the epoch on an inner validation part; "
        "where stages learn on from a bundle of the same labels the length is fixed)",
    )
    group.add(
        "--batch-size",
        type=int,
        default=usual.batch_size,
        help="images a step (default: %(default)s)",
    )
    group.add(
        "--lr",
        type=float,
        help="highest learning rate (default: 0.0003 for open stages with --init, else 0.001)",
    )
    group.add(
        "--optimizer",
        type=str.lower,
        choices=OPTIMIZERS,
        default=usual.optimizer,
        help="momentum is gradient descent with a momentum of 0.9, sgd its older name "
        "(default: %(default)s)",
    )
    group.add(
        "--weight-decay", type=float, default=usual.weight_decay, help="(default: %(default)s)"
    )
    group.add(
        "--label-smoothing",
        type=float,
        default=usual.label_smoothing,
        help="(default: %(default)s)",
    )
    group.add(
        "--augment",
        default=usual.augment,
        metavar="KINDS",
        help="how pictures are varied: none, all, or some of flip, rotation, shift, zoom, light "
        "(contrast and brightness), colour (saturation and white balance) and noise, with commas "
        "between and a strength if wanted, such as flip,rotation=15,shift=0.1,zoom=0.2,light,"
        "noise=8; words add up, so that default,noise adds noise (default: default, all but noise "
        "for whole images; for faces flip, rotation, shift and zoom, and light too where stages "
        "learn)",
    )
    group.add(
        "--balance",
        swept=False,
        choices=balance.CHOICES,
        default="auto",
        help="let each class count alike, however many images it has, or each image (default: "
        "auto, yes for folders of one's own whose largest class has more than 1.5 times the "
        "images of the smallest)",
    )
    group.add(
        "--mixup",
        type=float,
        default=usual.mixup,
        metavar="ALPHA",
        help="mix each image with another by a share from Beta(ALPHA, ALPHA); 0 mixes none "
        "(default: %(default)s)",
    )
    group.add(
        "--distil",
        swept=False,
        type=int,
        default=usual.distil,
        metavar="N",
        help="train N networks first, each on all but an Nth of the images; what they answer for "
        "the images they did not see is half of what the last network learns (default: 0, none)",
    )
    group.add(
        "--average",
        type=float,
        metavar="DECAY",
        help="keep a running average of the weights with this decay, 0.998 say, instead of the "
        "weights themselves; 0 averages nothing (default: 0; where the last stages of a bundle "
        "of faces learn on 0.98 for the labels it knows, 0.99 for others)",
    )
    group.add(
        "--copies",
        type=int,
        help="jittered copies of each crop that frozen stages see, beside the crop itself "
        "(default: 8, or 1 from 2000 images on; where the last stages of a bundle of faces learn "
        "on 16 for the labels it knows, 6 for others)",
    )
    group.add(
        "--patience",
        type=int,
        default=usual.patience,
        help="epochs without a better validation loss before the end; 0 never ends "
        "early (default: %(default)s)",
    )
    group.add(
        "--seed",
        swept=False,
        type=int,
        default=usual.seed,
        help="the same seed gives the same figures on the same machine (default: %(default)s)",
    )
    group.add(
        "--seeds",
        swept=False,
        type=int,
        default=1,
        metavar="N",
        help="run the protocol with this many seeds, counted from --seed, and report mean and "
        "spread; the model is trained with the first (default: %(default)s)",
    )
