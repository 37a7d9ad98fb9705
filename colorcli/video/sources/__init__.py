"""Where frames come from: a video file or standard input, or numbered pictures."""
