"""From luma to chroma at any size, with the colors that the user supplies."""
