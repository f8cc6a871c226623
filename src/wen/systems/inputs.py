"""Stage ``systems``: list the hashes of the inputs of each published system, or the reason why it cannot run."""

from typing import Any

from wen.config.params import Params
from wen.config.paths import Paths
from wen.files import atomic, read_json, write_json


def run(params: Params, paths: Paths) -> None:
    """Write data/predictions/system/inputs/NAME.json for each system of params.yaml.

    Each system depends on its file only, so a new or changed network reruns only the systems that read it. ``arrays``
    holds the SHA-256 of each array or weights file, ``missing`` the reason for each network that is not available.
    """
    with atomic(paths.systems_inputs) as partial:
        partial.mkdir()
        for name in params.systems:
            found: dict[str, Any] = {"arrays": {}, "missing": {}}
            for network, kinds in read_json(paths.wanted / f"systems/{name}.json").items():
                if network not in params.pretrained:
                    reason = f"params.yaml has no weights for it; add `{network}: hub` or a file under `pretrained`"
                    found["missing"][network] = reason
                    continue
                about = read_json(paths.network_about(network))
                if about["missing"]:
                    found["missing"][network] = about["missing"]
                else:
                    found["arrays"] |= {f"{network} {kind}": about[kind] for kind in kinds}
            write_json(partial / f"{name}.json", found)
            if found["missing"]:
                print(f"{name}: skipped, because weights are missing for {', '.join(found['missing'])}")
