#!/bin/sh
# Install the WebDAV server into a virtual environment of its own, beside the running one.
# Usage: install-release.sh RELEASE SOURCE
# The file .complete in the release is written last, so a run that was interrupted starts over.
set -eu
umask 022
release=$1 source=$2

python3 -m venv --clear "$release"
"$release/bin/python" -m pip install --quiet --no-color --disable-pip-version-check --no-cache-dir \
  --only-binary :all: --require-hashes --requirement "$source/requirements.txt"
cp -R "$source/irods_webdav" "$release/irods_webdav"
PYTHONPATH="$release" "$release/bin/python" -m irods_webdav --help >/dev/null
touch "$release/.complete"

# Of the earlier releases the one in use stays, to go back to.
current=$(readlink -f /opt/irods-webdav/current || true)
for other in /opt/irods-webdav/releases/*; do
  if [ "$other" != "$release" ] && [ "$other" != "$current" ]; then
    rm -rf -- "$other"
  fi
done
