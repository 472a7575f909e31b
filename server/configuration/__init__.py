"""What the settings are made of: values, and the variables that hold them."""
