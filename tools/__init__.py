"""What authors and instructors run: build, check and execute the notebooks."""
