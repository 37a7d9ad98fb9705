"""Where colorized frames go: a file that can be resumed, a pipe, or numbered pictures."""
