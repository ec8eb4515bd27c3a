"""From the folds' predictions to one honest score and one submission."""
