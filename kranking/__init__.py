"""Ranking models for recommendation and ads in Keras 3."""
