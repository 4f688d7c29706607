"""The command line of `train.py`: what each option is called, means and is by default."""

import argparse
from pathlib import Path

from models import datasets
from models.descent import OPTIMIZERS
from models.evaluation import FOLDS, PROTOCOLS
from models.recipes import Wishes


def arguments(description: str) -> argparse.ArgumentParser:
    """The command line, in groups, each option with its default.

    Args:
        description: what stands above the options in --help.
    """
    parser = argparse.ArgumentParser(
        prog="train.py",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual = Wishes()
    paths = parser.add_argument_group("data and paths")
    paths.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder with the images; the set may lie deeper inside (required)",
    )
    paths.add_argument(
        "--layout",
        choices=datasets.LAYOUTS,
        default="auto",
        help="how the images are laid out: folders is one folder a class, with "
        "train/, val/ and test/ above them or not (default: auto, detected)",
    )
    paths.add_argument(
        "--with",
        type=Path,
        dest="company",
        metavar="DIR",
        help="another set of the same labels that stages in training see beside this one; its "
        "test part is left out (default: none)",
    )
    paths.add_argument(
        "--share",
        type=float,
        default=usual.share,
        help="how much of each batch is --data's own with --with (default: %(default)s)",
    )
    paths.add_argument(
        "--name",
        help="of the model (default: emotion for jaffe and fer2013, "
        "smile for genki4k, else the folder's name)",
    )
    paths.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where the bundle goes (default: params/NAME of this project)",
    )
    paths.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="where the run is kept for --resume (default: runs)",
    )
    net = parser.add_argument_group("network")
    net.add_argument(
        "--network",
        metavar="NAME",
        help="gabor, face_cnn, mobilenet_face, or a PaddleClas network by name such as "
        "PPLCNet_x1_0, MobileNetV3_small_x1_0, ResNet18, ResNet50, VGG16, VGG19, "
        "InceptionV3 or DenseNet121 (default: the --init bundle's; else gabor "
        "for few faces, face_cnn for many, and PPLCNet_x1_0 for whole images)",
    )
    net.add_argument(
        "--init",
        default="auto",
        metavar="BUNDLE",
        help="bundle to take weights from; its head is replaced where labels differ; "
        "none starts from nothing (default: auto, params/face where faces are cut)",
    )
    net.add_argument(
        "--freeze",
        metavar="none|all|N",
        help="none trains everything, all only the head, N the head and the last N "
        "stages (default: with --init all; 7 of a bundle of faces where it knows the same labels "
        "and the images are few, or other labels and the images are 2000 to 9999, or with "
        "--with; without --init none)",
    )
    net.add_argument(
        "--head",
        choices=("lda", "softmax"),
        help="lda: closed formula on frozen features, needs no epochs; softmax: by "
        "gradient (default: lda with --freeze all, else softmax)",
    )
    net.add_argument(
        "--faces",
        choices=("auto", "yes", "no"),
        default="auto",
        help="find, align and cut faces, or use whole images (default: auto, faces "
        "for face sets and for folders whose images nearly all show a large face)",
    )
    net.add_argument(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="side of the network's input (default: the bundle's or the network's)",
    )
    net.add_argument(
        "--span",
        type=float,
        metavar="DISTANCES",
        help="side of the square cut around a face, in distances from the eyes to the mouth "
        "(default: the bundle's, else 2.2)",
    )
    net.add_argument(
        "--keep",
        type=float,
        default=usual.keep,
        metavar="SHARE",
        help="how much of the --init bundle's head stays, 0 to 0.99, where its labels are the "
        "same and the new head is lda: the two sets' statistics are blended (default: %(default)s)",
    )
    steps = parser.add_argument_group("training")
    steps.add_argument(
        "--epochs",
        type=int,
        help="at most this many (default: 30; where the last stages of a bundle of faces learn "
        "on 15 for the labels it knows, 12 for others)",
    )
    steps.add_argument(
        "--fixed",
        action="store_true",
        help="train for exactly --epochs (default: choose the epoch on an inner validation part; "
        "where stages learn on from a bundle of the same labels the length is fixed)",
    )
    steps.add_argument(
        "--batch-size",
        type=int,
        default=usual.batch_size,
        help="images a step (default: %(default)s)",
    )
    steps.add_argument(
        "--lr",
        type=float,
        help="highest learning rate (default: 0.0003 for open stages with --init, else 0.001)",
    )
    steps.add_argument(
        "--optimizer", choices=OPTIMIZERS, default=usual.optimizer, help="(default: %(default)s)"
    )
    steps.add_argument(
        "--weight-decay", type=float, default=usual.weight_decay, help="(default: %(default)s)"
    )
    steps.add_argument(
        "--label-smoothing",
        type=float,
        default=usual.label_smoothing,
        help="(default: %(default)s)",
    )
    steps.add_argument(
        "--mixup",
        type=float,
        default=usual.mixup,
        metavar="ALPHA",
        help="mix each image with another by a share from Beta(ALPHA, ALPHA); 0 mixes none "
        "(default: %(default)s)",
    )
    steps.add_argument(
        "--distil",
        type=int,
        default=usual.distil,
        metavar="N",
        help="train N networks first, each on all but an Nth of the images; what they answer for "
        "the images they did not see is half of what the last network learns (default: 0, none)",
    )
    steps.add_argument(
        "--average",
        type=float,
        metavar="DECAY",
        help="keep a running average of the weights with this decay, 0.998 say, instead of the "
        "weights themselves; 0 averages nothing (default: 0; where the last stages of a bundle "
        "of faces learn on 0.98 for the labels it knows, 0.99 for others)",
    )
    steps.add_argument(
        "--copies",
        type=int,
        help="jittered copies of each crop that frozen stages see, beside the crop itself "
        "(default: 8, or 1 from 2000 images on; where the last stages of a bundle of faces learn "
        "on 16 for the labels it knows, 6 for others)",
    )
    steps.add_argument(
        "--patience",
        type=int,
        default=usual.patience,
        help="epochs without a better validation loss before the end; 0 never ends "
        "early (default: %(default)s)",
    )
    steps.add_argument(
        "--seed",
        type=int,
        default=usual.seed,
        help="the same seed gives the same figures on the same machine (default: %(default)s)",
    )
    steps.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="run the protocol with this many seeds, counted from --seed, and report mean and "
        "spread; the model is trained with the first (default: %(default)s)",
    )
    run = parser.add_argument_group("protocol and output")
    run.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="auto",
        help="what is measured before the model is trained on everything: holdout "
        "keeps 20%% (or the set's own test part), kfold splits at random, loso "
        "leaves one subject out (default: auto, loso for jaffe, holdout where there "
        "is a test part, else none)",
    )
    run.add_argument(
        "--folds",
        type=int,
        default=FOLDS,
        metavar="N",
        help="how many parts kfold makes (default: %(default)s)",
    )
    run.add_argument(
        "--base",
        action="store_true",
        help="write a bundle to start other trainings from: it is not exported and not served "
        "(default: a bundle to serve)",
    )
    run.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run that was broken off (default: start over)",
    )
    run.add_argument(
        "--json",
        action="store_true",
        help="print the result as one JSON object (default: a few lines)",
    )
    return parser
