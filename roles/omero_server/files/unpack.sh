#!/bin/sh
# Unpack an archive beside its place, and put it there as a whole.
# Usage: unpack.sh ARCHIVE INSIDE FOLDER [USER]
# INSIDE is the one folder in the archive, FOLDER the place. Its etc, and the scripts in lib, become USER's.
set -eu
umask 022
archive=$1 inside=$2 folder=$3 user=${4:-}

# On the same file system, where an interrupted run may have left one.
new=$(dirname "$folder")/.unpacking-$(basename "$folder")
rm -rf -- "$new"
mkdir -- "$new"
case $archive in
  *.zip) unzip -q "$archive" -d "$new" ;;
  *) tar --extract --no-same-owner --file "$archive" --directory "$new" ;;
esac
if [ ! -d "$new/$inside" ]; then
  echo "$archive holds no folder $inside, but $(ls "$new" | head -n 3 | tr '\n' ' ')" >&2
  exit 1
fi
if [ -n "$user" ]; then
  chown -R "$user:$user" "$new/$inside/etc" "$new/$inside/lib/scripts"
fi
mv -- "$new/$inside" "$folder"
rmdir -- "$new"
