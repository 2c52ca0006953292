# SPDX-License-Identifier: LGPL-2.1-or-later
"""The VM's initramfs: busybox, two scripts and the kernel modules needed to reach the host."""

import hashlib
import os
import re
import stat
import subprocess
from pathlib import Path

# The programs that init and session use, all of them busybox.
APPLETS = """cat chmod chroot cp env hostname insmod ip kill ln mkdir mkfifo mount poweroff setsid sh
sleep stty switch_root sync usleep""".split()
# What reaches the host's files and the ports; a kernel may have some of them built in.
BASE_MODULES = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"]


class InitramfsError(Exception):
    """Something the initramfs needs is missing."""


def cpio(entries):
    """Packs (name, mode, content) triples into a newc archive, the kernel's own format."""
    archive = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        path = name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, two device numbers twice, name size, check
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0]
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        archive += bytes(-len(archive) % 4) + content
        archive += bytes(-len(archive) % 4)
    return bytes(archive + bytes(-len(archive) % 512))


def folder(name):
    return (name, stat.S_IFDIR | 0o755, b"")


def file(name, content, mode=0o644):
    return (name, stat.S_IFREG | mode, content)


def read_module(path):
    """A module's bytes, decompressed."""
    if path.suffix == ".ko":
        return path.read_bytes()
    tool = {".xz": "xz", ".zst": "zstd", ".gz": "gzip"}[path.suffix]
    return subprocess.run([tool, "-dc", path], check=True, stdout=subprocess.PIPE).stdout


def dependencies(image):
    """The modules that a module's own description asks for."""
    found = re.search(rb"\0depends=([^\0]*)\0", image)
    return [name.decode() for name in found[1].split(b",") if name] if found else []


def canonical(name):
    return name.replace("-", "_")


def collect_modules(tree, names):
    """Finds modules and all they depend on below tree: [(name, bytes)] in loading order."""
    files = {canonical(path.name.split(".")[0]): path for path in tree.rglob("kernel/**/*.ko*")}
    builtin = {canonical(Path(line).stem)
               for line in (tree / "modules.builtin").read_text().split()}
    ordered, seen = [], set()

    def add(name):
        name = canonical(name)
        if name in seen or name in builtin:
            return
        seen.add(name)
        if name not in files:
            raise InitramfsError(f"the kernel has no module {name} (looked below {tree})")
        image = read_module(files[name])
        for other in dependencies(image):
            add(other)
        ordered.append((name, image))

    for name in names:
        add(name)
    return ordered


def libraries(path):
    """The shared libraries of a program, and what loads them."""
    if path.read_bytes()[:4] != b"\x7fELF":
        return []
    listed = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
    return [Path(name) for name in re.findall(r"(/\S+) \(0x", listed)]


def copies(names, workdir):
    """An archive of files and of the libraries they need, under their names below /copies."""
    files = {}
    for name in names:
        path = Path(name).absolute()
        if not path.is_file():
            raise InitramfsError(f"--in-memory {name}: no such file")
        for each in (path, *libraries(path)):
            files[f"copies{each}"] = each
    folders = {str(parent) for name in (*files, f"copies{workdir}/.") for parent in
               Path(name).parents if parent.parts}
    return cpio([*(folder(name) for name in sorted(folders)),
                 *(file(name, path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
                   for name, path in files.items())])


def build(kernel, modules, cache):
    """Path of the initramfs for a kernel folder (see scripts/kernel-fetch), made when needed.

    modules are names wanted besides BASE_MODULES. The result is kept in cache under the
    hash of all that went into it.
    """
    here = Path(__file__).parent
    busybox = Path("/bin/busybox")
    if not busybox.exists():
        raise InitramfsError("there is no /bin/busybox: run 'make setup'")
    parts = [busybox.read_bytes(), (here / "init").read_bytes(), (here / "session").read_bytes(),
             Path(__file__).read_bytes(), os.fsencode(kernel.resolve()),
             (kernel / "release").read_bytes(), " ".join(modules).encode()]
    key = hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    path = cache / f"initramfs-{key[:16]}.cpio"
    if path.exists():
        return path

    drivers = collect_modules(kernel / "modules", [*BASE_MODULES, *modules])
    archive = cpio([
        folder("bin"), file("bin/busybox", parts[0], 0o755),
        *((f"bin/{applet}", stat.S_IFLNK | 0o777, b"busybox") for applet in APPLETS),
        file("init", parts[1], 0o755), file("session", parts[2]),
        folder("modules"), *(file(f"modules/{name}.ko", image) for name, image in drivers),
        file("modules/order", "".join(f"{name}.ko\n" for name, _ in drivers).encode()),
        *(folder(name) for name in ("dev", "proc", "sys", "newroot")),
    ])
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(archive)
    unfinished.rename(path)
    return path
