#!/bin/sh
# Install the control plane into a virtual environment of its own, beside the running one.
# Usage: install-release.sh RELEASE REQUIREMENTS WHEEL...
# The file .complete in the release is written last, so a run that was interrupted starts over.
set -eu
umask 022
release=$1 requirements=$2
shift 2

python3 -m venv --clear "$release"
"$release/bin/python" -m pip install --quiet --no-color --disable-pip-version-check --no-cache-dir \
  --only-binary :all: --require-hashes --requirement "$requirements"
"$release/bin/bic" --version
touch "$release/.complete"

# Of the earlier releases the one in use stays, to go back to.
current=$(readlink -f /opt/bic/venv || true)
for other in /opt/bic/releases/*; do
  if [ "$other" != "$release" ] && [ "$other" != "$current" ]; then
    rm -rf -- "$other"
  fi
done
for other in /opt/bic/wheels/*; do
  case " $* " in
    *" $other "*) ;;
    *) rm -f -- "$other" ;;
  esac
done
