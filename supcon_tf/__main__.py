"""Runs a command: `python -m supcon_tf --help`."""

from supcon_tf.commands.command_line import main

if __name__ == "__main__":
    main()
