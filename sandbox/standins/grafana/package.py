"""Builds the stand-in's Debian package, on Debian's own libraries. All of it says that it is a stand-in."""

import argparse
from pathlib import Path

from sandbox.standins import debian
from sandbox.standins.debian import Package

from .release import VERSION

HOMEPAGE = "https://grafana.com"

_SOURCE = Path(__file__).parent
_MODULE = "grafana_standin"
_LIBRARY = "usr/lib/grafana-standin"
# What only a clone needs.
_LEFT_OUT = {"launcher.py", "package.py"}
_DEPENDS = (
    "adduser, python3 (>= 3.11), python3-httpx, python3-prometheus-client, python3-starlette, "
    "python3-uvicorn, python3-yaml"
)
_NOTICE = f"""\
This is a STAND-IN, not Grafana.

It reads Grafana's configuration and provisioning files and answers as much of its API as the BioImage Cloud
sandbox needs. It draws no dashboards, and has none of Grafana's code. It exists so that the platform can be
tried and tested on machines that cannot download Grafana. The real package comes from {HOMEPAGE}.
"""
_COMMAND = f"""\
#!/usr/bin/python3
# STAND-IN for Grafana.
import sys

sys.path[:0] = ["/{_LIBRARY}"]
from {_MODULE}.main import main

sys.exit(main())
"""
_DEFAULT = """\
GRAFANA_USER=grafana
GRAFANA_GROUP=grafana
LOG_DIR=/var/log/grafana
DATA_DIR=/var/lib/grafana
CONF_FILE=/etc/grafana/grafana.ini
RESTART_ON_UPGRADE=true
PLUGINS_DIR=/var/lib/grafana/plugins
PROVISIONING_CFG_DIR=/etc/grafana/provisioning
PID_FILE_DIR=/run/grafana
"""
# Confined as little as the role must bear: it says all else itself.
_UNIT = """\
[Unit]
Description=Grafana (STAND-IN)
Wants=network-online.target
After=network-online.target

[Service]
EnvironmentFile=/etc/default/grafana-server
User=grafana
Group=grafana
Type=simple
Restart=on-failure
WorkingDirectory=/usr/share/grafana
RuntimeDirectory=grafana
RuntimeDirectoryMode=0750
ExecStart=/usr/share/grafana/bin/grafana server --config=${CONF_FILE} \\
  --pidfile=${PID_FILE_DIR}/grafana-server.pid --packaging=deb \\
  cfg:default.paths.logs=${LOG_DIR} cfg:default.paths.data=${DATA_DIR} \\
  cfg:default.paths.plugins=${PLUGINS_DIR} cfg:default.paths.provisioning=${PROVISIONING_CFG_DIR}
TimeoutStopSec=20
CapabilityBoundingSet=
NoNewPrivileges=true
PrivateUsers=true
UMask=0027

[Install]
Alias=grafana.service
WantedBy=multi-user.target
"""
_POSTINST = f"""\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    . /etc/default/grafana-server
    getent group "$GRAFANA_GROUP" >/dev/null || addgroup --system --quiet "$GRAFANA_GROUP"
    id "$GRAFANA_USER" >/dev/null 2>&1 || adduser --system --quiet --home /usr/share/grafana \\
        --no-create-home --ingroup "$GRAFANA_GROUP" --disabled-password --shell /bin/false "$GRAFANA_USER"
    mkdir -p "$LOG_DIR" "$DATA_DIR" "$PROVISIONING_CFG_DIR/dashboards" "$PROVISIONING_CFG_DIR/datasources"
    chown -R "$GRAFANA_USER:$GRAFANA_GROUP" "$LOG_DIR" "$DATA_DIR"
    [ -f "$CONF_FILE" ] || cp /usr/share/grafana/conf/sample.ini "$CONF_FILE"
    chown -Rh "root:$GRAFANA_GROUP" /etc/grafana/*
    find /etc/grafana -type f -exec chmod 640 {{}} +
    find /etc/grafana -type d -exec chmod 755 {{}} +
    python3 -m compileall -q /{_LIBRARY} || true
    # As upstream: a new installation is not started, an upgrade is.
    if [ -n "$2" ] && [ "$RESTART_ON_UPGRADE" = true ] && [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl restart grafana-server || true
    fi
    echo "grafana: this is the STAND-IN of the BioImage Cloud sandbox, not Grafana" >&2
fi
"""
_PRERM = f"""\
#!/bin/sh
set -e
find /{_LIBRARY} -name __pycache__ -type d -exec rm -rf {{}} +
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl stop grafana-server || true
fi
"""


def package() -> Package:
    """Return the package with its contents."""
    commands = {"usr/share/grafana/bin/grafana", "usr/sbin/grafana"}
    modules = {
        f"{_LIBRARY}/{_MODULE}/{path.name}": path.read_bytes()
        for path in sorted(_SOURCE.glob("*.py"))
        if path.name not in _LEFT_OUT
    }
    return Package(
        name="grafana",
        product="Grafana",
        homepage=HOMEPAGE,
        summary="dashboards",
        about="This package is NOT Grafana. It answers Grafana's API for the sandbox of BioImage Cloud.",
        depends=_DEPENDS,
        version=VERSION,
        notice=_NOTICE,
        files={
            **modules,
            **dict.fromkeys(commands, _COMMAND),
            "etc/default/grafana-server": _DEFAULT,
            "lib/systemd/system/grafana-server.service": _UNIT,
            "usr/share/grafana/conf/sample.ini": "# The stand-in's defaults are upstream's.\n",
        },
        executables=frozenset(commands),
        scripts={"postinst": _POSTINST, "prerm": _PRERM},
    )


def build(destination: Path) -> list[Path]:
    """Build the package in a folder. Needs `dpkg-deb`.

    Raises:
        subprocess.CalledProcessError: it could not be built.
    """
    return [debian.build(package(), destination)]


def main() -> None:
    """Build the package into the directory that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", type=Path)
    for path in build(parser.parse_args().destination):
        print(path)


if __name__ == "__main__":
    main()
