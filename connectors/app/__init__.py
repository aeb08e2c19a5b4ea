"""The application's API: the app config folder, its datasets, and ``dataset://`` URLs."""
