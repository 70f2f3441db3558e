"""Programs that make the files in ``assets/``."""
