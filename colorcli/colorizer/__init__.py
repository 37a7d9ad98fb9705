"""From luma to chroma at any size, with the user's hints and reference picture."""
