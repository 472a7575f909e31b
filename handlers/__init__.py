"""The room that speaks HTTP's meaning: one module for each tag of the contract, one function for each operation."""
