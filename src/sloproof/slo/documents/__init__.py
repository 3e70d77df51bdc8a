"""SLO documents, read: OpenSLO v1 and Sloth in, objectives out."""
