"""The small shared ground: errors, the model card, colour maths, the condition. Needs numpy only."""
