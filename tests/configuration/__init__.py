"""The first hour of an operator: mistakes in the settings are told, and what the start says."""
