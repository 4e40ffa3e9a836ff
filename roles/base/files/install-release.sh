#!/bin/sh
# Install a Python program into a virtual environment of its own, beside the running one.
# Usage: install-release.sh ROOT/releases/NAME SOURCE PACKAGE
# SOURCE holds requirements.txt and the program's PACKAGE; ROOT/current is the link to the release in use.
# The file .complete in the release is written last, so a run that was interrupted starts over.
set -eu
umask 022
release=$1 source=$2 package=$3

python3 -m venv --clear "$release"
# What is published as source only is named in requirements.txt, and built with the environment's own tools.
"$release/bin/python" -m pip install --quiet --no-color --disable-pip-version-check --no-cache-dir \
  --only-binary :all: --no-build-isolation --require-hashes --requirement "$source/requirements.txt"
cp -R "$source/$package" "$release/$package"
PYTHONPATH="$release" "$release/bin/python" -m "$package" --help >/dev/null
touch "$release/.complete"

# Of the earlier releases the one in use stays, to go back to.
root=$(dirname "$(dirname "$release")")
current=$(readlink -f "$root/current" || true)
for other in "$root"/releases/*; do
  if [ "$other" != "$release" ] && [ "$other" != "$current" ]; then
    rm -rf -- "$other"
  fi
done
