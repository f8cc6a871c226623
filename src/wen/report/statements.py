"""The results as sentences, which the page and the chapter share."""

from typing import Any

from wen.config.params import TEST_SETS, Params
from wen.report.language import Text
from wen.study import Study

HYPOTHESES = ("H1", "H2", "H3", "H4")
SHARED = ("shared_subjects", "duplicate_images", "near_copy_images")
"""Counts of the leak audit that a split by subject keeps at 0."""


def hypothesis(key: str, evidence: dict[str, Any], t: Text) -> str:
    """State the verdict on a hypothesis, and the difference that its tests had the power to detect."""
    result, margin = evidence["hypotheses"][key], t.margin(evidence["margin"])
    if result["verdict"] == "not_tested":
        return t("result.missing.H4") if evidence["units"] > 1 else _single_unit(evidence, t)
    sentences = [t(f"result.{key}.{result['verdict']}", p=t.p_is(result["p_adjusted"]), margin=margin)]
    if key == "H2":
        sentences.append(t("result.H2.either"))
    if key == "H4" and len(schemes := compared_schemes(evidence)) == 2:
        sentences.append(t("result.H4.two", schemes=_listed([*map(t.scheme, schemes)], t)))
    if result["verdict"] == "undecided" and result["cannot_refute"]:
        sentences.append(t("result.too_small", margin=margin, reach=t.number(100 * result["reach"], 1)))
    if evidence["reading"] == "as_written" and key in ("H2", "H3"):  # which compare Intra-LR with others
        sentences.append(t("result.optimistic"))
    return " ".join([*sentences, power(key, evidence, t)])


def power(key: str, evidence: dict[str, Any], t: Text) -> str:
    """State the smallest difference that the tests of a hypothesis detect with 80% power."""
    smallest = evidence["hypotheses"][key]["smallest"]
    shown = t.number(100 * (smallest or 0), 1)
    if key == "H1":
        runs = over_runs(evidence) or {}
        about = {"folds": runs["folds"], "deviation": t.number(100 * runs["deviation"], 1), "smallest": shown}
        return t("runs.few", **about) if smallest is None else t("runs.power", **about)
    return t("power.none") if smallest is None else t(f"power.{key}", smallest=shown)


def verdict(key: str, found: dict[str, Any], t: Text) -> str:
    """Name the verdict on a hypothesis; if it is undecided, with the difference that would have been detected."""
    name = t(f"verdict.{found['verdict']}")
    if found["verdict"] != "undecided":
        return name
    return f"{name} ({_detected(key, found['smallest'], t)})"


def claim(key: str, weighting: str, t: Text) -> str:
    """State a hypothesis as part of a sentence; ``weighting`` is that of the ensembles which H2 is tested on."""
    return t("answer.claim.H2.uniform") if (key, weighting) == ("H2", "uniform") else t(f"answer.claim.{key}")


def left_open(evidence: dict[str, Any], weighting: str, t: Text) -> str:
    """State the differences that the tests of undecided hypotheses would have detected; empty if none is undecided."""
    each = [
        t("answer.detected", claim=claim(key, weighting, t), detected=_detected(key, found["smallest"], t))
        for key, found in evidence["hypotheses"].items()
        if found["verdict"] == "undecided"
    ]
    return t("answer.left_open", each="; ".join(each)) if each else ""


def _detected(key: str, smallest: float | None, t: Text) -> str:
    """State briefly which difference is detected; H3 needs several comparisons, and the power is that of one."""
    if smallest is None:
        return t("power.short.none")
    shown = t.number(100 * smallest, 1)
    return t("power.short.H3", smallest=shown) if key == "H3" else t("power.short", smallest=shown)


def compared_schemes(evidence: dict[str, Any]) -> list[str]:
    """Return the weightings that H4 is tested on; empty if it was not tested."""
    tested = (test["between"] for test in evidence["tests"] if test["test"] == "schemes")
    return [name.removeprefix("scheme ") for name in next(tested, [])]


def over_runs(evidence: dict[str, Any]) -> dict[str, Any] | None:
    """Return the test over all runs, which decides H1; None if it was not possible."""
    return next((test for test in evidence["tests"] if test["test"] == "runs"), None)


def runs(evidence: dict[str, Any], rates: int, t: Text) -> str:
    """State the difference between the learning rates over all runs; empty if it was not tested."""
    test = over_runs(evidence)
    if test is None:
        return ""
    difference, low, high = (t.points(test[key]) for key in ("difference", "low", "high"))
    return t("runs.text", runs=test["folds"] * rates, difference=difference, low=low, high=high, p=t.p_is(test["p"]))


def rates(evidence: dict[str, Any], t: Text) -> str:
    """State which learning rate gave the best single model, and the mean test accuracy at each.

    A learning rate in focus that is not in the grid competes with none, which is stated, too.
    """
    answer, focus = evidence["answer"], evidence["focus"]["lr"]
    each = [
        t("answer.rate", lr=t.rate(lr), mean=t.number(mean), std=t.number(answer["lr_std"][lr]))
        for lr, mean in answer["lr_mean"].items()
    ]
    apart = "" if focus in map(float, answer["lr_mean"]) else " " + t("answer.lr.apart", lr=t.rate(focus))
    return t("answer.lr", lr=t.rate(answer["lr"]), rates="; ".join(each)) + apart


def ensemble(evidence: dict[str, Any], names: dict[str, str], t: Text) -> str:
    """State the difference in accuracy between the better ensemble and the best single model."""
    answer = evidence["answer"]
    about = {key: t.points(answer[key]) for key in ("difference", "difference_low", "difference_high")}
    about |= {"ensemble": names[answer["ensemble"]], "single": names[answer["single"]]}
    about |= {"single_accuracy": t.number(answer["single_accuracy"])}
    of_both = {test["difference"] for test in evidence["tests"] if test["hypothesis"] == "H2" and test["decides"]}
    sentence = t("answer.ensemble", **about) if len(of_both) > 1 else t("answer.ensemble.equal", **about)
    if answer["ensemble"].startswith("intra as_written"):
        sentence += " " + t("answer.optimistic", name=about["ensemble"])
    return sentence


def optimism(study: Study, t: Text) -> str:
    """State that the results of the headline are optimistic; empty unless its members were chosen on the test set."""
    return t("answer.optimistic", name=t.name(study.focus)) if study.is_optimistic else ""


def weighting(evidence: dict[str, Any], tests: int, t: Text) -> str:
    """State how weighted ensembles differ from plain averages; empty without a comparison.

    ``tests`` is the number of comparisons of `wen.report.control`.
    """
    control = evidence["control"]
    if not control["rows"]:
        return ""
    shown = {"images": t.count(control["images"]), "largest": t.number(control["largest"])}
    if control["changed"]:
        sentence = t("control.text", changed=control["changed"], **shown)
    else:
        sentence = t("control.text.none", **shown)
    if evidence["units"] < 2:
        return sentence
    ending = "significant" if control["p_adjusted"] < evidence["alpha"] else "none"
    return sentence + " " + t(f"control.{ending}", p=t.p_is(control["p_adjusted"]), tests=tests)


def rules(evidence: dict[str, Any], weighting: str, t: Text) -> str:
    """State how the tests decide, how often their intervals contain the true value, and what limits both.

    Only tests that this study has are mentioned.
    """
    shown = {"images": t.count(evidence["images"]), "units": t.count(evidence["units"])}
    if any(test["hypothesis"] == "H4" for test in evidence["tests"]):
        compared, decided = t("rules.compared"), t("rules.decided")
    else:
        compared, decided = t("rules.compared.without_H4"), t("rules.decided.without_H4")
    levels = {"level": t.percent(evidence["level"], 2), "margin": t.margin(evidence["margin"])}
    covers = {key: t.percent(evidence["coverage"][key]) for key in ("accuracy", "difference")}
    effective = t.number(evidence["effective_units"], 1)
    tested = [
        t("rules", **shown),
        compared,
        t("rules.family", family=evidence["family"], decided=decided, **levels),
        t("rules.others", others=_listed([t(f"rules.other.{name}") for name in _not_deciding(evidence)], t)),
        t("rules.verdicts", **levels),
    ]
    sentences = [
        *(tested if evidence["units"] > 1 else [_single_unit(evidence, t)]),
        t(f"rules.interval.{evidence['unit']}", effective=effective, units=shown["units"], **covers),
        *caveats(evidence, weighting, t),
    ]
    return " ".join(sentences)


def _single_unit(evidence: dict[str, Any], t: Text) -> str:
    """State why nothing is tested on a single image or subject."""
    return t("result.missing.units", unit=t(f"unit.{evidence['unit']}"))


def _not_deciding(evidence: dict[str, Any]) -> list[str]:
    """Name the families of tests that decide nothing."""
    families = dict.fromkeys(test["family"] for test in evidence["tests"] if not test["decides"])
    return [*families, *(["control"] if evidence["control"]["rows"] else [])]


def _listed(parts: list[str], t: Text) -> str:
    """Join the parts of an enumeration, in Indonesian with a comma before the last of three or more."""
    comma = "," if t.language == "id" and len(parts) > 2 else ""
    return f"{', '.join(parts[:-1])}{comma}{t('answer.and')}{parts[-1]}" if len(parts) > 1 else parts[0]


def caveats(evidence: dict[str, Any], weighting: str, t: Text) -> list[str]:
    """State what the tests cannot show by the study's settings; ``weighting`` is the one in focus."""
    of_weights = [t("rules.uniform")] if weighting == "uniform" else []
    return [*of_weights, t("rules.as_written")] if evidence["reading"] == "as_written" else of_weights


def independence(evidence: dict[str, Any], t: Text) -> str:
    """State whether tests and intervals are over images or people."""
    key = "unknown" if evidence["subjects"] is None else evidence["unit"]
    if evidence["subjects"] == evidence["units"] == evidence["images"] > 1:
        key = "each"
    images, people = t.count(evidence["images"]), t.people(evidence["subjects"])
    return t(f"answer.sure.{key}", images=images, people=people, effective=t.number(evidence["effective_units"], 1))


def resampled(evidence: dict[str, Any]) -> str:
    """What intervals of measures are over: ``image``, also for subjects of one image each, or ``subject``."""
    return "image" if evidence["units"] == evidence["images"] else "subject"


def division(unit: str, test_set: str, t: Text) -> str:
    """State how the images were divided: at random, with a part of C-NMC as the test set, or by the user's own CSV."""
    kind = "random" if test_set == "random" else "part" if test_set in TEST_SETS else "own"
    return t(f"division.{kind}", unit=t(f"unit.{unit}"), test=test_set)


def separation(split: dict[str, Any], t: Text) -> str:
    """State how the images were divided, and whether people are on both sides, as the leak audit found it."""
    shared = split["test_and_development"]["shared_subjects"]
    divided = division(split["unit"], split["test_set"], t)
    about = {"division": divided[0].upper() + divided[1:]}
    if shared is None:
        return t("by_image.unknown", **about)
    if split["unit"] == "subject":
        boundaries = [split["test_and_development"], *split["validation_and_train"].values()]
        leaking = any(boundary[key] for boundary in boundaries for key in SHARED)
        return t("by_subject.leaking", **about) if leaking else t("by_subject", **about)
    return t("by_image", **about) if shared else t("by_image.apart", **about)


def one_class(absent: int | None, t: Text) -> str:
    """State what is undefined on a test set without a class; empty if both are there."""
    return "" if absent is None else t(f"one_class.{absent}")


def computed(groups: list[dict[str, Any]], t: Text) -> str:
    """Name the devices and precisions of the networks."""
    if len(groups) == 1 and groups[0]["trained"] == groups[0]["predicted"]:
        return str(groups[0]["trained"])
    return "; ".join(t("computed.group", **group | {"models": t.count(group["models"])}) for group in groups)


def unfrozen(params: Params, t: Text) -> str:
    """Name the module from which stage 2 trains the network."""
    name = params.finetune.unfreeze_from
    return t("unfrozen.auto") if name == "auto" else name


def leaks(split: dict[str, Any], t: Text) -> str:
    """State which subjects and copies the test and development sets share."""
    between, test = split["test_and_development"], split["test"]
    images, duplicates, near = (between[key] for key in ("images", "duplicate_images", "near_copy_images"))
    counts = {"all": t.count(images), "duplicates": t.count(duplicates)}
    counts["near"] = t("leaks.not_counted") if near is None else t.count(near)
    shared = between["images_of_shared_subjects"]
    if between["shared_subjects"] is None:
        sentence = t("leaks.unknown", **counts)
    elif shared:
        sentence = t("leaks.shared", images=t.count(shared), share=t.percent(shared / images), **counts)
    elif duplicates or near:
        sentence = t("leaks.copies", **counts)
    else:
        sentence = t("leaks.none", people=t.people(test["subjects"]))
    excluded, why = split["excluded"]["images"], "related"
    if split["test_set"] not in TEST_SETS:
        why = "own" if split["unit"] == "subject" else "left_out"
    return " ".join([sentence, *([t(f"leaks.excluded.{why}", images=t.count(excluded))] if excluded else [])])
