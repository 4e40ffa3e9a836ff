"""Rollout of rule bases: what each server should run, in which order they are changed, and the change."""
