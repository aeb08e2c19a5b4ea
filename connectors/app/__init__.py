"""The application's side: its app config folder, the datasets in it, and ``dataset://`` URLs."""
