"""How good a model is: metrics, a recognition model, and the comparison with gray."""
