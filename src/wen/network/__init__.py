"""The network: building, cutting, training and running it."""

import sys

# Without this package, OpenVINO reports to nobody. With it, `import openvino` sends its maker a message, from a process
# that is forked beside other threads: now and then it never ends, nor does the command.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
