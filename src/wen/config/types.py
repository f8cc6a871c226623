"""Types and ranges of the values in params.yaml, and how messages quote a value."""

import reprlib
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from wen.errors import Message
from wen.names import is_text

NOT_IN_RUN_CACHE = ("size", "nfiles")
"""Keys that DVC leaves out of a run's identity, wherever they are inside a parameter."""
SET_ELSEWHERE: dict[str, Message] = {
    "num_classes": "a network of this study has one output",
    "in_chans": "images have three channels",
    "pretrained": "`weights` says where the weights come from",
    "pretrained_cfg": "`weights`, `mean` and `std` replace it",
    "checkpoint_path": "write the file as `weights`",
    "features_only": "a network of this study ends in a classifier",
}
"""Arguments of `timm.create_model` that other keys or the study itself set, and why."""


class Section(BaseModel):
    """A mapping of params.yaml; refuses unknown keys and values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _with_a_point(value: Any) -> Any:
    """Refuse 10 instead of 10.0: DVC would expect an output models/10, but the stage writes models/10.0."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 100:
        raise ValueError(f"write {float(value)} instead of {value}")
    return value


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"must be a number, text, true or false, found {brief(value)}")
    return value


def _visible(value: str) -> str:
    if not value.strip() or not is_text(value):
        raise ValueError(f"must be a name in one line, found {brief(value)}")
    return value


def _network_arguments(value: dict[str, Any]) -> dict[str, Any]:
    for name in value:
        if name in SET_ELSEWHERE:
            raise ValueError(f"{name!r} cannot be set here: {SET_ELSEWHERE[name]}")
        if name in NOT_IN_RUN_CACHE:
            raise ValueError(
                f"{name!r} cannot be set here: DVC's run-cache ignores a key of this name, and would restore the "
                "outputs of another value"
            )
    return value


Name = Annotated[str, AfterValidator(_visible)]
Scalar = Annotated[Any, AfterValidator(_scalar)]
NetworkArguments = Annotated[dict[str, Scalar], AfterValidator(_network_arguments)]
"""Further arguments of `timm.create_model`."""
Integer = Annotated[int, Field(lt=2**31)]  # Python refuses to print integers of more than 4300 digits
Positive = Annotated[Integer, Field(ge=1)]
Count = Annotated[Integer, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
LearningRate = Annotated[float, Field(ge=1e-10, le=100, allow_inf_nan=False), BeforeValidator(_with_a_point)]
"""Below 1e-10, a step changes no float32 weight, so the model would keep its initial weights."""
Mean = Annotated[list[Share], Field(min_length=3, max_length=3)]
Deviation = Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=3, max_length=3)]
NetworkName = Annotated[str, Field(pattern=r"^\w[\w.]*$")]


class _Brief(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:
            return "a number with thousands of digits"


_BRIEF = _Brief()
_BRIEF.maxlevel = 2
_BRIEF.maxstring = 80


def brief(value: Any) -> Message:
    """Quote a value in a message, shortened; lists that contain themselves would otherwise never end."""
    return _BRIEF.repr(value)
