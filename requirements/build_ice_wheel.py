"""Builds the wheel of Ice for Python that omero-py needs, once for each machine, and prints its path.

Ice 3.6.5 is published as source only, and does not compile for Python 3.11 and later as it is. So its source,
pinned by a hash in ice.lock, is patched and built for the Python that runs this, which needs pip. That takes
one to four minutes. The wheel is kept in the user's cache, under a name that says what it was made from.
Killed anywhere, the next call starts over.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK, TOOLS, PATCH = (HERE / name for name in ("ice.lock", "ice-build.lock", "zeroc-ice-3.6.5.patch"))
# Programs and headers by the packages of Debian 12 that hold them.
NEEDED: dict[str, str | Path] = {
    "g++": "g++",
    "patch": "patch",
    "python3-dev": Path(sysconfig.get_path("include"), "Python.h"),
    "libssl-dev": Path("/usr/include/openssl/ssl.h"),
    "libbz2-dev": Path("/usr/include/bzlib.h"),
}
FLAGS = "-O0 -g0 -U_FORTIFY_SOURCE"
# Runs setup.py with all processors, where setuptools compiles one file after the other, and with the headers
# compiled once that nearly all files have in common. That halves the time. The speed of what is made matters
# little: Python is slower.
SETUP = """
import os
from concurrent.futures import ThreadPoolExecutor
import setuptools
from distutils.ccompiler import CCompiler

def compile_at_once(self, sources, output_dir=None, macros=None, include_dirs=None, debug=0,
                    extra_preargs=None, extra_postargs=None, depends=None):
    macros, objects, extra, options, build = self._setup_compile(
        output_dir, macros, include_dirs, sources, depends, extra_postargs
    )
    arguments = self._get_cc_args(options, debug, extra_preargs)
    common = ("Ice/Ice.h", "IceUtil/IceUtil.h", "iostream", "sstream")
    with open("common.h", "w") as header:
        header.writelines(f"#include <{name}>\\n" for name in common)
    made = ["-x", "c++-header", "common.h", "-o", "common.h.gch"]
    self.spawn([*self.compiler_so_cxx, *arguments, *extra, *made])

    def compile_one(name):
        source, kind = build[name]
        common = ["-include", "common.h"] if kind == ".cpp" else []
        self._compile(name, source, kind, arguments, [*extra, *common], options)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, objects))
    return objects

CCompiler.compile = compile_at_once
exec(compile(open("setup.py").read(), "setup.py", "exec"))
"""


def main() -> int:
    """Print the path of the wheel; 2 when this machine lacks what building it needs."""
    made_from = b"".join(path.read_bytes() for path in (Path(__file__), LOCK, TOOLS, PATCH))
    name = f"zeroc-ice-{sys.implementation.cache_tag}-{hashlib.sha256(made_from).hexdigest()[:16]}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bioimage-cloud" / name
    if not cache.exists():
        if missing := [package for package, what in NEEDED.items() if not there(what)]:
            print(
                f"build_ice_wheel.py: Ice for Python cannot be built without {', '.join(missing)}: "
                f"apt-get install {' '.join(missing)}",
                file=sys.stderr,
            )
            return 2
        cache.parent.mkdir(parents=True, exist_ok=True)
        print("building Ice for Python, once: one to four minutes", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=cache.parent, prefix="building-") as folder:
            try:
                made = build(Path(folder))
            except subprocess.CalledProcessError as error:
                print(f"build_ice_wheel.py: `{' '.join(map(str, error.cmd))}` failed", file=sys.stderr)
                return 1
            if not cache.exists():
                made.rename(cache)
    print(next(cache.glob("*.whl")))
    return 0


def there(what: str | Path) -> bool:
    """Whether a program or header is on this machine."""
    return what.exists() if isinstance(what, Path) else shutil.which(what) is not None


def build(folder: Path) -> Path:
    """The folder that holds the wheel. Raises CalledProcessError."""
    tools, made = folder / "tools", folder / "wheel"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--require-hashes", "--target", str(tools), "-r", str(TOOLS)]
    subprocess.run(install, check=True)
    environment = os.environ | {"PYTHONPATH": str(tools), "CFLAGS": FLAGS, "CXXFLAGS": FLAGS}
    options = ["--quiet", "--no-deps", "--no-binary=:all:", "--no-build-isolation", "--require-hashes"]
    download = [*pip, "download", *options, "--dest", str(folder), "-r", str(LOCK)]
    subprocess.run(download, check=True, env=environment)
    # Not by tarfile, whose filters Debian 12's Python does not have yet.
    archive = next(folder.glob("zeroc*.tar.gz"))
    subprocess.run(["tar", "--extract", f"--directory={folder}", f"--file={archive}"], check=True)
    source = next(path for path in folder.glob("zeroc*") if path.is_dir())
    subprocess.run(["patch", "--quiet", "--strip=1", f"--input={PATCH}"], cwd=source, check=True)
    with (folder / "log").open("w") as log:
        done = subprocess.run(
            [sys.executable, "-c", SETUP, "bdist_wheel", "--dist-dir", str(made)],
            cwd=source,
            env=environment,
            stdout=log,
            stderr=log,
            check=False,
        )
    if done.returncode != 0:
        sys.stderr.write("\n".join((folder / "log").read_text().splitlines()[-20:]) + "\n")
        raise SystemExit("build_ice_wheel.py: Ice for Python could not be built; the end of its log is above")
    return made


if __name__ == "__main__":
    sys.exit(main())
