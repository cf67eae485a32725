"""`python -m tools.grade FOLDER`: run submitted exercise notebooks and judge what their functions do."""
