"""A minimal extension script: routes that train on the WebUI's loaded model and report what that did to it.

SDFT_ROOT names the project's folder. Routes wait in threads of their own (FastAPI's), so the lock is theirs to take.
"""

import os
import sys

sys.path.insert(0, os.environ["SDFT_ROOT"])

from modules import script_callbacks

sys.path.append(os.path.join(os.environ["SDFT_ROOT"], "tests", "host"))
import lending_routes

script_callbacks.on_app_started(lending_routes.add)
