"""Training one fold, and launching several."""
