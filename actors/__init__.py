"""The actors, and the processes and network clients that they use.

`system.py` shows all actors and which messages each of them gets.
"""

import os

# ONNX Runtime (since 1.29) and the model hub's library report to their makers how they are used,
# unless they are told not to before they are loaded. Child processes inherit these variables.
for _variable in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ[_variable] = "1"
