"""The demo: a whole small nation on this machine, deployed, brought on board and checked."""
