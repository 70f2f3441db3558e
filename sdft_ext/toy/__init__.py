"""The toy world: drawn pictures with captions, a checker that reads them, and the figures made from its readings.

No torch here: numpy, Pillow and scipy only. The toy model's weights are in ``assets/toy``.
"""
