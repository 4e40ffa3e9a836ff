"""Journeys: synthetic data and people go the ways that users and their data go, and leave nothing behind."""
