"""The silent mistakes in SLO documents, found by reading them and by asking a server."""
