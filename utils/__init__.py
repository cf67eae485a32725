"""What the lessons import: profiles, assets, splits, plots and guidance. No teaching code hides here."""
