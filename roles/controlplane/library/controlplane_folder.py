#!/usr/bin/python
"""Ansible module: a folder that holds exactly the given text files."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: controlplane_folder
short_description: Keep a folder of small text files exactly as given
description:
  - Writes each file that is missing or differs, and removes every other file below the folder. The folder
    must therefore belong to this module alone.
  - Each file is replaced in one step, and a run that was interrupted is finished by the next one.
  - One call whatever the number of files, where a copy of each would be a call each.
options:
  path:
    description: The folder, an absolute path. It is created when missing; the folder above it must exist.
    type: path
    required: true
  files:
    description: The files, as a mapping of their paths relative to the folder to their text.
    type: dict
    required: true
  owner:
    description: The user that owns folders and files.
    type: str
    required: true
  group:
    description: The group of folders and files.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Install the inventory
  controlplane_folder:
    path: /etc/bic/inventory
    files:
      platform.yml: "name: sandbox\n"
      facilities/nantes.yml: "id: nantes\n"
    owner: root
    group: bic
"""

RETURN = r"""
written:
  description: The files that were missing or differed.
  returned: always
  type: list
removed:
  description: The files that were removed.
  returned: always
  type: list
"""

FILE_MODE = 0o640
FOLDER_MODE = 0o750


def unsafe(name: str) -> bool:
    """Whether a file's name is not a plain path below the folder."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or str(path) != name or name == "."


def present(folder: Path) -> tuple[set[str], set[str]]:
    """What is below `folder`: the names of all that is not a folder, and the names of the folders."""
    files: set[str] = set()
    folders: set[str] = set()

    def fail(error: OSError) -> None:
        raise error

    for above, below, names in os.walk(folder, onerror=fail):
        relative = Path(above).relative_to(folder)
        links = {name for name in below if (Path(above) / name).is_symlink()}
        files.update(str(relative / name) for name in {*names, *links})
        folders.update(str(relative / name) for name in set(below) - links)
    return files, folders


def differs(path: Path, content: bytes) -> bool:
    """Whether `path` is not a regular file with this content."""
    return path.is_symlink() or not path.is_file() or path.read_bytes() != content


def replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never half of it."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Bring the folder to the wanted state, or in a dry run say what that would take."""
    folder = Path(module.params["path"])
    wanted = {name: str(text).encode() for name, text in module.params["files"].items()}
    if bad := sorted(filter(unsafe, wanted)):
        module.fail_json(msg=f"not a path below the folder: {', '.join(bad)}")
    files, folders = present(folder) if folder.is_dir() else (set(), set())
    wanted_folders = {str(above) for name in wanted for above in PurePosixPath(name).parents} - {"."}
    written = sorted(name for name, content in wanted.items() if differs(folder / name, content))
    removed = sorted(files - set(wanted))
    leftover = sorted(folders - wanted_folders, reverse=True)
    changed = bool(written or removed or leftover or not folder.is_dir() or wanted_folders - folders)
    if not module.check_mode:
        # What is in the way of a folder goes first, and folders before what is in them.
        for name in removed:
            (folder / name).unlink()
        for name in leftover:
            (folder / name).rmdir()
        for name in (".", *sorted(wanted_folders)):
            (folder / name).mkdir(exist_ok=True, mode=0o700)
        for name in written:
            replace(folder / name, wanted[name])
    for name, mode in (
        *((name, FOLDER_MODE) for name in (".", *sorted(wanted_folders))),
        *((name, FILE_MODE) for name in sorted(wanted)),
    ):
        changed |= set_access(module, folder / name, mode)
    return {"changed": changed, "written": written, "removed": removed}


def set_access(module: AnsibleModule, path: Path, mode: int) -> bool:
    """Set owner, group and mode, in this order, so that no wrong group may read; whether that was needed."""
    if not path.exists():
        return False
    changed = module.set_owner_if_different(str(path), module.params["owner"], False)
    changed = module.set_group_if_different(str(path), module.params["group"], changed)
    if stat.S_IMODE(path.stat().st_mode) != mode:
        changed = module.set_mode_if_different(str(path), mode, changed)
    return bool(changed)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            # Values may be secrets, and none of them belongs in the host's log.
            "files": {"type": "dict", "required": True, "no_log": True},
            "owner": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or module.params['path']}: {error.strerror or error}")


if __name__ == "__main__":
    main()
