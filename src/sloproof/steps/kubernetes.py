"""Sentences about the service's pods in a cluster."""
