"""Copy what the service needs of Debian into an empty tree, which becomes the image.

    $ python3 docker/system.py /image

Whole packages are named, so that scanners of images know them by Debian's names; what is never
opened is left out of them, licences stay. There is no package manager, no perl, no setuid file.
"""

import fnmatch
import os
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "the service": "python3 python3-minimal python3.11 python3.11-minimal tini",
    "Python's library": "libpython3-stdlib libpython3.11-minimal libpython3.11-stdlib",
    "what Python links to": "libbz2-1.0 libcrypt1 libexpat1 libffi8 liblzma5 libssl3 zlib1g",
    "what the wheels link to": "gcc-12-base libc6 libgcc-s1 libgomp1 libstdc++6",
    "a shell to look around with": "coreutils dash findutils grep",
    "what that links to": "libacl1 libattr1 libgmp10 libpcre2-8-0 libselinux1",
    "folders, names, time": "base-files libc-bin media-types",
}
# Pattern -> why nothing misses it.
LEFT_OUT = {
    "/usr/share/doc/*": "manuals; licences are kept",
    "/usr/share/man/*": "manuals",
    "/usr/share/info/*": "manuals",
    "/usr/share/locale/*": "translations of messages",
    "/usr/share/lintian/*": "for Debian's own checks",
    "/usr/lib/*/gconv/*": "character sets of iconv; Python has its own",
    "/usr/bin/tini-static": "tini is there",
    "/usr/lib/python3.11/lib2to3/*": "translates Python 2",
    "/usr/lib/python3.11/pydoc_data/*": "the interpreter's help()",
    "/usr/lib/python3.11/test/*": "Python's own tests",
    "/usr/lib/python3.11/lib-dynload/_curses*": "terminals",
    "/usr/lib/python3.11/lib-dynload/_dbm*": "Berkeley DB",
    "/usr/lib/python3.11/lib-dynload/_sqlite3*": "SQLite",
    "/usr/lib/python3.11/lib-dynload/_uuid*": "uuid has another way",
    "/usr/lib/python3.11/lib-dynload/nis*": "NIS",
    "/usr/lib/python3.11/lib-dynload/readline*": "editing of lines at a prompt",
}
KEPT = ("/usr/share/doc/*/copyright",)
# Made when the packages were set up, and so no package's own.
MADE = (
    *("/bin", "/lib", "/lib64", "/sbin", "/etc/group", "/etc/passwd", "/etc/ld.so.conf"),
    *("/etc/nsswitch.conf", "/run/hyojo", "/usr/bin/sh"),
)


def names() -> list[str]:
    """Names of the packages."""
    return sorted(" ".join(PACKAGES.values()).split())


def files(package: str) -> set[str]:
    """Real paths of what a package holds: /bin is /usr/bin here."""
    listed = subprocess.run(["dpkg", "-L", package], check=True, capture_output=True, text=True)
    found = set()
    for line in listed.stdout.splitlines():
        folder, name = os.path.split(line)
        path = os.path.join(os.path.realpath(folder), name)
        if line.startswith("/") and line != "/." and os.path.lexists(path):
            found.add(path)
    return found


def wanted(path: str) -> bool:
    """Whether a path is copied."""
    kept = any(fnmatch.fnmatch(path, pattern) for pattern in KEPT)
    folder = os.path.isdir(path) and not os.path.islink(path)
    return kept or folder or not any(fnmatch.fnmatch(path, pattern) for pattern in LEFT_OUT)


def compiled(paths: set[str]) -> set[str]:
    """Compiled modules of those among the paths."""
    found = set()
    for path in paths:
        if path.endswith(".py"):
            folder, name = os.path.split(path)
            cached = f"{folder}/__pycache__/{name[:-3]}.cpython-311.pyc"
            found |= {cached} if os.path.exists(cached) else set()
    return found


def main(tree: Path) -> None:
    paths = {path for name in names() for path in files(name) if wanted(path)}
    paths |= {path for path in MADE if os.path.lexists(path)}
    paths |= compiled(paths)
    paths -= {path for path in paths if path.startswith("/usr/share/doc/") and _empty(path, paths)}
    tree.mkdir()
    listed = "\0".join(path.lstrip("/") for path in sorted(paths))
    pack = ["tar", "-C", "/", "--no-recursion", "--null", "-T", "-", "-cf", "-"]
    packed = subprocess.run(pack, input=listed.encode(), check=True, stdout=subprocess.PIPE)
    unpack = ["tar", "-C", str(tree), "-xpf", "-"]
    subprocess.run(unpack, input=packed.stdout, check=True)
    for folder, mode in (("dev", 0o755), ("proc", 0o755), ("sys", 0o755), ("tmp", 0o1777)):
        (tree / folder).mkdir(exist_ok=True)
        (tree / folder).chmod(mode)
    status = tree / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_bytes(subprocess.check_output(["dpkg-query", "--status", *names()]))
    subprocess.run(["ldconfig", "-r", str(tree)], check=True)


def _empty(folder: str, paths: set[str]) -> bool:
    """Whether a folder of manuals has lost all that was in it."""
    return os.path.isdir(folder) and f"{folder}/copyright" not in paths


if __name__ == "__main__":
    main(Path(sys.argv[1]))
