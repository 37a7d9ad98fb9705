"""The command line: commands, options, progress, reports."""
