"""``connectors identity`` and ``connectors workflow``: they need the extra ``workflow``."""
