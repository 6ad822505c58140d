"""What every room stands on: errors and commands, text, the console, files, libraries, cores, free memory."""
