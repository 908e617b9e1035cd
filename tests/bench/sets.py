"""The data sets and their second generations. Deterministic: the same packages and seed give the same bytes, except for
the disk image, whose file system and database carry times and random identifiers."""

import json
import os
import random
import shutil
import stat
import subprocess
from pathlib import Path

EXTENT = 64 * 1024
MIX_BYTES = 2_070_000_000
MIX_PARTS = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/gcc",
    "/usr/lib/python3",
    "/usr/lib/python3.11",
    "/usr/lib/postgresql",
    "/usr/share/doc",
    "/usr/share/man",
    "/usr/share/locale",
]
WORDS = "the vault keeps what it was given and a copy of a copy is worth what was proved about it on that day".split()


def text(rng, length):
    """So many bytes of something that compresses as text does."""
    out = bytearray()
    while len(out) < length:
        out += f"{rng.choice(WORDS)} {rng.randrange(100_000)} ".encode()
    return bytes(out[:length])


def build(name, folder, small):
    """Makes generation 1 of a set below `folder` unless it is there already; returns its path."""
    home = Path(folder) / name
    if (home / "complete").exists():
        return home / "gen1"
    shutil.rmtree(home, ignore_errors=True)
    gen1 = home / "gen1"
    gen1.mkdir(parents=True)
    maker = {"src": make_src, "img": make_img, "mix": make_mix}[name]
    if small:
        maker = {"src": small_src, "img": small_img, "mix": small_mix}[name]
    print(f"making data set {name}", flush=True)
    maker(gen1, home)
    (home / "complete").write_text("")
    return gen1


def second_generation(name, data):
    """Changes the set at `data` in place as a day of work would; returns what was done, for the report."""
    rng = random.Random(f"backstop {name} generation 2")
    if name == "img":
        return change_image(Path(data) / "disk.img", rng)
    return change_tree(Path(data), rng)


# --- trees -----------------------------------------------------------------------------------------------------------


def make_src(gen1, home):
    subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=", "download", "linux-source-6.1"], cwd=home, check=True)
    [package] = home.glob("linux-source-6.1_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, home / "unpacked"], check=True)
    archive = home / "unpacked/usr/src/linux-source-6.1.tar.xz"
    subprocess.run(["tar", "-xf", archive, "-C", gen1, "--strip-components=1"], check=True)
    shutil.rmtree(home / "unpacked")
    package.unlink()


def make_mix(gen1, _home):
    copy_parts(MIX_PARTS, gen1, MIX_BYTES, 10**9)


def small_src(gen1, _home):
    copy_parts(["/usr/share/doc"], gen1, 20_000_000, 1500)


def small_mix(gen1, _home):
    copy_parts(["/usr/lib/python3", "/usr/lib/python3.11", "/usr/share/locale"], gen1, 20_000_000, 1500)


def copy_parts(parts, gen1, bytes_max, files_max):
    """Copies files and symbolic links of `parts` in the order of their names until one of the limits is reached."""
    total = count = 0
    for part in parts:
        for here, folders, names in os.walk(part):
            folders.sort()
            target = Path(gen1) / os.path.relpath(here, "/usr")
            target.mkdir(parents=True, exist_ok=True)
            for name in sorted(names):
                path = os.path.join(here, name)
                state = os.lstat(path)
                if not (stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode)):
                    continue
                if total + state.st_size > bytes_max or count == files_max:
                    return
                shutil.copy2(path, target / name, follow_symlinks=False)
                total += state.st_size
                count += 1


def change_tree(data, rng):
    """1 % of the files get a line in their middle, 0.3 % go, 0.3 % come."""
    files = []
    for here, folders, names in os.walk(data):
        folders.sort()
        files += [os.path.join(here, name) for name in sorted(names)]
    files = [path for path in files if not os.path.islink(path)]
    touched, gone = max(1, len(files) // 100), max(1, len(files) * 3 // 1000)
    chosen = rng.sample(files, touched + 2 * gone)
    for path in chosen[:touched]:
        with open(path, "rb") as file:
            lines = file.read().splitlines(keepends=True)
        lines.insert(len(lines) // 2, text(rng, rng.randrange(20, 80)) + b"\n")
        mode = os.stat(path).st_mode
        os.chmod(path, mode | stat.S_IWUSR)
        with open(path, "wb") as file:
            file.write(b"".join(lines))
        os.chmod(path, mode)
    for path in chosen[touched : touched + gone]:
        os.unlink(path)
    for number, path in enumerate(chosen[touched + gone :]):
        with open(os.path.join(os.path.dirname(path), f"new-{number}.txt"), "wb") as file:
            file.write(text(rng, rng.randrange(200, 5_000)))
    return {"touched": touched, "deleted": gone, "new": gone}


# --- disk image and dump ---------------------------------------------------------------------------------------------

POSTGRES = r"""
set -eu
root=$1; out=$2
in_root() { chroot "$root" "$@"; }
bin=$(in_root sh -c 'echo /usr/lib/postgresql/*/bin')
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm"; mount -t tmpfs tmpfs "$root/dev/shm"
stop() {
  in_root runuser -u postgres -- "$bin/pg_ctl" -D /var/lib/postgresql/bench -m fast -w stop >/dev/null 2>&1 || true
  umount "$root/dev/shm" "$root/proc"
}
trap stop EXIT
as_postgres() { in_root runuser -u postgres -- "$@"; }
in_root apt-get clean
as_postgres "$bin/initdb" -D /var/lib/postgresql/bench --auth trust >/dev/null
as_postgres "$bin/pg_ctl" -D /var/lib/postgresql/bench -w -l /var/lib/postgresql/log \
  -o "-c listen_addresses= -c unix_socket_directories=/tmp -c fsync=off -c max_wal_size=64MB -c min_wal_size=32MB" start >/dev/null
as_postgres "$bin/createdb" -h /tmp bench
as_postgres "$bin/pgbench" -h /tmp -q -i -s 40 bench 2>/dev/null
as_postgres "$bin/pgbench" -h /tmp -c 1 -t 30000 --random-seed=42 bench >/dev/null 2>&1
as_postgres "$bin/pg_dump" -h /tmp bench > "$out"
"""


def make_img(gen1, home):
    """A 4 GiB disk with a minimal Debian and a PostgreSQL cluster in it, and a plain dump of its database."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        print("  no root or no debootstrap (`apt-get install debootstrap`): the image is synthetic")
        return synthetic_image(gen1, 4 << 30, 1_100_000_000, 390_000_000)
    disk, mount = gen1 / "disk.img", home / "mount"
    with open(disk, "wb") as file:
        file.truncate(4 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
    mount.mkdir()
    subprocess.run(["mount", "-o", "loop", disk, mount], check=True)
    try:
        with open(home / "log", "wb") as log:
            subprocess.run(
                ["debootstrap", "--variant=minbase", "--include=postgresql", "bookworm", mount, "http://deb.debian.org/debian"],
                check=True, stdout=log, stderr=log,
            )
        subprocess.run(["bash", "-c", POSTGRES, "make-img", mount, gen1 / "dump.sql"], check=True)
        os.sync()  # freed blocks can be trimmed once their removal is on disk
        subprocess.run(["fstrim", mount], check=False)
    finally:
        subprocess.run(["umount", mount], check=True)
    mount.rmdir()
    return None


def small_img(gen1, _home):
    synthetic_image(gen1, 256 << 20, 24_000_000, 8_000_000)


def synthetic_image(gen1, apparent, data, dump):
    """A sparse disk whose data comes in runs of text, of noise and of zeros, and a dump-like text."""
    rng = random.Random("backstop img generation 1")
    with open(gen1 / "disk.img", "wb") as file:
        file.truncate(apparent)
        written = 0
        while written < data:
            file.seek(rng.randrange(apparent // EXTENT - 64) * EXTENT)
            length = rng.randrange(1, 48) * EXTENT
            kind = rng.random()
            file.write(rng.randbytes(length) if kind < 0.15 else bytes(length) if kind < 0.2 else text(rng, length))
            written += length
    with open(gen1 / "dump.sql", "wb") as file:
        row = 0
        while file.tell() < dump:
            file.write(f"{row}\t{rng.randrange(1000)}\t{rng.randrange(-10**6, 10**6)}\t{' ' * 40}\n".encode())
            row += 1


def change_image(disk, rng):
    """5 % of the extents that hold data get 4, 8, 16 or 64 KiB of new text at a 4 KiB boundary."""
    with open(disk, "r+b") as file:
        extents, at, end = [], 0, os.fstat(file.fileno()).st_size
        while at < end:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            stop = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            extents += range(start // EXTENT, (stop + EXTENT - 1) // EXTENT)
            at = stop
        extents = sorted(set(extents))
        chosen = rng.sample(extents, max(1, len(extents) // 20))
        changed = 0
        for extent in chosen:
            length = rng.choice([4, 8, 16, 64]) * 1024
            file.seek(extent * EXTENT + rng.randrange((EXTENT - length) // 4096 + 1) * 4096)
            file.write(text(rng, length))
            changed += length
    return {"extents": len(extents), "changed_extents": len(chosen), "changed_bytes": changed}


def facts(gen1):
    """Counts and sizes for the report."""
    files = folders = total = 0
    for here, inner, names in os.walk(gen1):
        folders += len(inner)
        files += len(names)
        total += sum(os.lstat(os.path.join(here, name)).st_size for name in names)
    return {"files": files, "folders": folders, "bytes": total}


if __name__ == "__main__":
    import sys

    made = build(sys.argv[1], sys.argv[2], small="--small" in sys.argv)
    print(json.dumps(facts(made)))
