"""Sentences of this service alone; the general ones come with sloproof."""
