"""The documents for people, and the module that generates some of them."""
