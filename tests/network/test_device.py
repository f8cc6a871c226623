"""Settings of torch that hold on every device."""

import os
import subprocess
import sys

COMPUTED = """
import torch
from wen.config.params import Compute
from wen.network import device
device.settle(Compute(threads=1, cpu_engine="torch", precision="auto"))
print(torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
"""


def test_products_in_float32_stay_in_float32_where_the_environment_allows_tf32() -> None:
    environment = os.environ | {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
    command = [sys.executable, "-c", COMPUTED]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["highest", "False", "False"]
