"""The whole job as a Kaggle kernel: building it, what it runs there, pushing and following it."""
