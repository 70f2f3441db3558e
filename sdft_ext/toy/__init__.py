"""The toy world: drawn pictures with captions, a checker that recognizes their contents, figures, and the demo.

The toy model's weights are in ``assets/toy``. All but the demo needs only numpy, Pillow and scipy, no torch.
"""
