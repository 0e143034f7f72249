"""Rehearse a scenario: deploy it for real into an embedded sandbox, walk through it, remove it."""
