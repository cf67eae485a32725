"""`python -m tools.notebooks`: build the lessons from their sources, check them, execute them."""
