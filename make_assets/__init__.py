"""Programs that make what ``assets/`` holds."""
