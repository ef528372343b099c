"""Pydantic models of what goes in and out over HTTP."""
