"""The model card: what a bundle is for, what it was measured to do, and what it must not do."""

from typing import Any

from models.bundle import Manifest
from models.datasets import EXPRESSIONS, SMILE

_PROTOCOLS = {
    "loso": "leave one subject out: each person's images are answered by a network that never saw "
    "that person. This is what to expect on a stranger photographed like the training images.",
    "kfold": "random folds; where a person has several images they stand on both sides of a split, "
    "and the figure then says how well known people are recognised and nothing about strangers.",
    "holdout": "one part held out and touched once.",
}
_FACE_LIMITS = (
    "- A face turned far to the side, covered, or smaller than about 30 pixels is often missed by "
    "the detector or answered badly.\n"
    "- Only the largest face of an image is used in training and testing."
)
_EXPRESSION_LIMITS = (
    "- It names the expression a face shows, as a few people posed it. It does not know what "
    "anyone feels, thinks or intends, and posed faces are clearer than everyday ones."
)
_SMILE_LIMITS = (
    "- It says whether a face looks like one that people called smiling, in photographs from the "
    "web. A smile is not joy, and a face without one is not sad."
)
_PEOPLE_LIMITS = (
    "- It must not be used to judge people: not in hiring, schools, policing, border control, "
    "insurance, medicine or lie detection, and not to watch people who did not agree to it. "
    "Emotion inference at work and in schools is forbidden in the European Union "
    "(Regulation 2024/1689, article 5)."
)
_THINGS_LIMITS = (
    "- It names the one thing that a photograph shows best, out of a thousand that were chosen for "
    "a contest: 120 of them are breeds of dogs, and there is no person among them.\n"
    "- It always names something: a picture of none of the thousand gets the nearest of them, "
    "often with a high probability.\n"
    "- Its photographs were found on the web, most of them in the United States and Europe; it "
    "does worse on things as they look elsewhere."
)
_NAMED = 60  # labels told one by one


def text(manifest: Manifest) -> str:
    """The card in Markdown, from what the manifest says."""
    adopted = "published" in manifest.training
    parts = [
        f"# {manifest.name} {manifest.version}",
        _summary(manifest),
        "## Figures",
        _published(manifest) if adopted else _figures(manifest.metrics, manifest.protocol),
        "## Training",
        _adopted(manifest) if adopted else _training(manifest),
        "## Use and limits",
        _THINGS_LIMITS if adopted else _limits(manifest),
        "## Terms",
        manifest.licence,
    ]
    return "\n\n".join(parts) + "\n"


def _summary(manifest: Manifest) -> str:
    takes = "the largest face of a picture" if manifest.faces.wanted else "a whole picture"
    network = manifest.network
    plan = network.get("options", {}).get("plan")
    known = f"{network['name']} `{plan}`" if plan else network["name"]
    named = ", ".join(manifest.labels[:_NAMED])
    more = len(manifest.labels) - _NAMED
    return (
        f"Classifies {takes} as one of {len(manifest.labels)} labels: "
        f"{named}{f' and {more} more' if more > 0 else ''}.\n"
        f"Network: {known}, {network['parameters']:,} weights, "
        f"{manifest.input.size} x {manifest.input.size} pixels."
    )


def _published(manifest: Manifest) -> str:
    """Others' figures: said to be theirs."""
    told = manifest.training["published"]
    figures = [
        f"{title} {told[key]:.2%}" for key, title in (("top1", "top-1"), ("top5", "top-5"))
        if told[key] is not None
    ]  # fmt: skip
    what = f"Published accuracy: **{', '.join(figures)}**" if figures else "No figure is published"
    return (
        f"{what} ({told['by']}; ImageNet's validation images, one centre crop). "
        "It was not measured here."
    )


def _adopted(manifest: Manifest) -> str:
    training = manifest.training
    return "\n\n".join(
        [
            f"Trained on {training['data']}: {training['weights']}. {training['citation']}.",
            f"Source: {training['source']}, sha256 `{training['source_sha256']}`. "
            f"Names: {training['labels']}.",
            f"Brought here by\n\n    {training['command']}",
        ]
    )


def _figures(metrics: dict[str, Any], protocol: dict[str, Any]) -> str:
    lines = ["Not measured: it was trained with `--protocol none`."]
    if "accuracy" in metrics:
        lines = _measured(metrics, protocol)
    if other := metrics.get("company"):
        found = [f"{label} {row['recall']:.0%}" for label, row in other["per_class"].items()]
        lines.append(
            f"On the test part of {other['set']}, which the shipped network never saw and which "
            f"chose nothing: accuracy **{other['accuracy']:.1%}**, macro-F1 "
            f"**{other['macro_f1']:.1%}** over {other['images']} images; expected calibration "
            f"error {other['ece']:.3f}. Found of each label: {', '.join(found)}."
        )
    return "\n\n".join(lines)


def _measured(metrics: dict[str, Any], protocol: dict[str, Any]) -> list[str]:
    lines = [
        f"Protocol `{protocol['name']}`: {_PROTOCOLS[protocol['name']]}",
        f"Accuracy **{metrics['accuracy']:.1%}**, macro-F1 **{metrics['macro_f1']:.1%}** over "
        f"{metrics['images']} images; expected calibration error {metrics['ece']:.3f}. "
        f"{protocol['choices']}",
    ]
    if several := metrics.get("seeds"):
        told = ", ".join(f"{row['accuracy']:.1%}" for row in several["seeds"])
        lines.append(
            f"With {len(several['seeds'])} seeds: {told}; mean accuracy "
            f"**{several['accuracy']['mean']:.1%}** (deviation "
            f"{several['accuracy']['deviation']:.1%}), mean macro-F1 "
            f"{several['macro_f1']['mean']:.1%}, mean calibration error "
            f"{several['ece']['mean']:.3f}. The tables are of the first."
        )
    lines.append(
        "| label | precision | recall | F1 | images |\n|---|---|---|---|---|\n"
        + "\n".join(
            f"| {label} | {row['precision']:.2f} | {row['recall']:.2f} | {row['f1']:.2f} | "
            f"{row['images']} |"
            for label, row in metrics["per_class"].items()
        )
    )
    lines.append("![confusion matrix](confusion.png) ![calibration](calibration.png)")
    if metrics.get("per_subject"):
        lines.append(
            "| subject held out | accuracy | images |\n|---|---|---|\n"
            + "\n".join(
                f"| {subject} | {row['accuracy']:.2f} | {row['images']} |"
                for subject, row in metrics["per_subject"].items()
            )
        )
    return lines


def _training(manifest: Manifest) -> str:
    training = manifest.training
    people = f" of {len(training['subjects'])} people" if training["subjects"] else ""
    lines = [
        f"Trained on {training['images']} images{people} ({training['data']}), started from "
        f"{training['init'] or 'nothing'}, by",
        f"    {training['command']}",
        "![curves](curves.png)",
    ]
    if training.get("kept_of_init_head"):
        lines.insert(
            2,
            "Its head is solved from these images' statistics blended with those of "
            f"{training['init_data']}, which count for {training['kept_of_init_head']:.0%}.",
        )
    if training.get("with"):
        lines.insert(
            2,
            f"Every batch held {training['share_of_own']:.0%} of these and the rest of "
            f"{training['with']} ({training['with_images']:,} images).",
        )
    if training["unreadable"] or training["faceless"]:
        lines.append(
            f"Left out: {training['unreadable']} images that cannot be read, "
            f"{training['faceless']} without a face that was found."
        )
    if training.get("twins"):
        lines.append(
            f"{training['twins']} of the images show a photograph that another shows too; no split "
            "parts them."
        )
    if training["unreadable"] or training["faceless"] or training.get("twins"):
        lines.append("[files.csv](files.csv) lists these files.")
    if training.get("balanced"):
        lines.append("Each class counted alike, however many images it had.")
    return "\n\n".join(lines)


def _limits(manifest: Manifest) -> str:
    lines = []
    for labels, limits in ((EXPRESSIONS, _EXPRESSION_LIMITS), (SMILE, _SMILE_LIMITS)):
        if set(manifest.labels) & set(labels):
            lines += [limits, _PEOPLE_LIMITS]
    if manifest.faces.wanted:
        lines.append(_FACE_LIMITS)
    per_class = manifest.metrics.get("per_class", {})
    weak = sorted((row["recall"], label) for label, row in per_class.items())[:2]
    if weak:
        told = " and ".join(f"{label} ({recall:.0%} found)" for recall, label in weak)
        lines.append(f"- It fails most often on {told}.")
    if len(manifest.training["subjects"]) in range(1, 100) and "with" not in manifest.training:
        lines.append(
            f"- {len(manifest.training['subjects'])} people are few. How well it does on other "
            "ages, skins, light and cameras was not measured."
        )
    return "\n".join(lines) or "- It was measured on images like those it was trained on."
