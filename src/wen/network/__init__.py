"""Build, split, train and run the network."""

import sys

# Disable OpenVINO's telemetry. With it, `import openvino` sends usage data from a process forked while other threads
# run, which occasionally deadlocks and hangs the command.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
