"""A fleet: real Debian hosts on one Linux machine, made of systemd-nspawn containers.

Each host has systemd as PID 1, its own network namespace and address on the fleet's bridge, and SSH, so
Ansible reaches it exactly as it reaches a machine in a data centre.
"""
