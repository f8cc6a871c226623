"""What was found, in sentences: the page and the chapter say the same."""

from typing import Any

from wen.report.language import Text

HYPOTHESES = ("H1", "H2", "H3", "H4")


def hypothesis(key: str, evidence: dict[str, Any], t: Text) -> str:
    """Say what the tests found of a hypothesis, and how large a difference they could have found."""
    found, margin = evidence["hypotheses"][key], t.number(100 * evidence["margin"], 1)
    if found["p_adjusted"] is None:
        return t(f"result.missing.{key}")
    sentences = [t(f"result.{key}.{found['verdict']}", p=t.p_is(found["p_adjusted"]), margin=margin)]
    if found["verdict"] == "undecided" and found["cannot_refute"]:
        sentences.append(t("result.too_small", margin=margin, reach=t.number(100 * found["reach"], 1)))
    return " ".join([*sentences, power(key, evidence, t)])


def power(key: str, evidence: dict[str, Any], t: Text) -> str:
    """Say which difference the tests of a hypothesis would have detected."""
    smallest = evidence["hypotheses"][key]["smallest"]
    shown = t.number(100 * (smallest or 0), 1)
    if key == "H1":
        runs = over_runs(evidence) or {}
        about = {"folds": runs["folds"], "deviation": t.number(100 * runs["deviation"], 1), "smallest": shown}
        return t("runs.few", **about) if smallest is None else t("runs.power", **about)
    return t("power.none") if smallest is None else t(f"power.{key}", smallest=shown)


def over_runs(evidence: dict[str, Any]) -> dict[str, Any] | None:
    """The test over all runs that decides H1, if there is one."""
    return next((test for test in evidence["tests"] if test["test"] == "runs"), None)


def runs(evidence: dict[str, Any], rates: int, t: Text) -> str:
    """Say how far apart the learning rates are over all runs."""
    test = over_runs(evidence)
    if test is None:
        return ""
    difference, low, high = (t.points(test[key]) for key in ("difference", "low", "high"))
    return t("runs.text", runs=test["folds"] * rates, difference=difference, low=low, high=high, p=t.p_is(test["p"]))


def rates(evidence: dict[str, Any], t: Text) -> str:
    """Say which learning rate gave the best single model, and the mean test accuracy at each."""
    answer = evidence["answer"]
    each = [
        t("answer.rate", lr=lr, mean=t.number(mean), std=t.number(answer["lr_std"][lr]))
        for lr, mean in answer["lr_mean"].items()
    ]
    return t("answer.lr", lr=answer["lr"], rates="; ".join(each))


def ensemble(evidence: dict[str, Any], names: dict[str, str], t: Text) -> str:
    """Say how far the better ensemble is from the best single model."""
    answer = evidence["answer"]
    differences = {key: t.points(answer[key]) for key in ("difference", "difference_low", "difference_high")}
    return t(
        "answer.ensemble",
        ensemble=names[answer["ensemble"]],
        single=names[answer["single"]],
        single_accuracy=t.number(answer["single_accuracy"]),
        **differences,
    )


def weighting(evidence: dict[str, Any], tests: int, t: Text) -> str:
    """Say what the weights change of the plain average, and how the control's ``tests`` end; nothing without any."""
    control = evidence["control"]
    if not control["rows"]:
        return ""
    shown = {"changed": control["changed"], "images": t.count(control["images"])}
    ending = "significant" if control["p_adjusted"] < evidence["alpha"] else "none"
    return " ".join(
        [
            t("control.text", largest=t.number(control["largest"]), **shown),
            t(f"control.{ending}", p=t.p_is(control["p_adjusted"]), tests=tests),
        ]
    )


def leaks(split: dict[str, Any], t: Text) -> str:
    """Say what test and training share."""
    between, test = split["test_and_development"], split["test"]
    images, copies = between["images"], {"duplicates": between["duplicate_images"], "near": between["near_copy_images"]}
    shared = between["images_of_shared_subjects"]
    if between["shared_subjects"] is None:
        sentence = t("leaks.unknown", all=images, **copies)
    elif shared or copies["duplicates"] or copies["near"]:
        sentence = t("leaks.shared", images=shared, all=images, share=t.percent(shared / images), **copies)
    else:
        sentence = t("leaks.none", subjects=test["subjects"])
    excluded = split["excluded"]["images"]
    return " ".join([sentence, *([t("leaks.excluded", images=excluded)] if excluded else [])])
