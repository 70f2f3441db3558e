"""The file of the Fine-tune extension that the WebUI executes, at its start and at every Reload UI.

All else is in the package ``sdft_ext``, which is imported once per process, so that a run outlives a Reload UI.
"""

from sdft_ext import extension

extension.register()
