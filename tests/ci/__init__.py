"""What CI calls, and that it calls what exists."""
