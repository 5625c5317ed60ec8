"""What the command is told: each command's arguments, options and help; what it does is imported when it runs."""
