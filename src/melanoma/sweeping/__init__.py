"""Many runs in one call: configurations times seeds, their folds in one queue, blended at the end."""
