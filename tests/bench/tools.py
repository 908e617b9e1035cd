"""One adapter per tool. Each says how the tool is called; none measures or decides anything.

A backup is made of the folder `data`, at the same path each time. `keep_last` removes every other backup and gives all
the space back that is to be had."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

PASSPHRASE = "a passphrase that is no secret"


class Tool:
    """What the benchmark asks of a tool. Methods return the argument arrays to be run, measured one after the other."""

    name = ""
    ok = (0,)

    def __init__(self, binary, home):
        self.binary = binary
        self.home = Path(home)  # the tool's vault, cache and settings, all on the fresh file system
        self.vault = self.home / "vault"
        self.home.mkdir(parents=True)
        self.env = {"HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "cache")}

    @classmethod
    def version(cls, binary):
        for word in ["version", "--version"]:
            answer = subprocess.run([binary, word], capture_output=True, text=True, check=False)
            if answer.returncode == 0:
                return answer.stdout.splitlines()[0].strip()
        return "unknown"

    def init(self, data):
        raise NotImplementedError

    def backup(self, data, label):
        raise NotImplementedError

    def verify(self):
        raise NotImplementedError

    def restore(self, data, to):
        raise NotImplementedError

    def restored(self, data, to):
        """Where the restored copy of `data` stands below `to`."""
        return Path(to) / str(data).lstrip("/")

    def keep_last(self):
        raise NotImplementedError

    def workdir(self, to):
        """Where a restore has to be started."""
        return None


class Restic(Tool):
    name = "restic"

    def __init__(self, binary, home):
        super().__init__(binary, home)
        self.env |= {
            "RESTIC_REPOSITORY": str(self.vault),
            "RESTIC_PASSWORD": PASSPHRASE,
            "RESTIC_CACHE_DIR": str(self.home / "cache"),
        }
        numbers = re.search(r"(\d+)\.(\d+)", self.version(binary))
        self.sparse = ["--sparse"] if numbers and tuple(map(int, numbers.groups())) >= (0, 15) else []

    def init(self, data):
        return [[self.binary, "init", "--repository-version", "2"]]

    def backup(self, data, label):
        return [[self.binary, "backup", "--quiet", data]]

    def verify(self):
        return [[self.binary, "check", "--quiet", "--read-data"]]

    def restore(self, data, to):
        return [[self.binary, "restore", "latest", "--quiet", *self.sparse, "--target", to]]

    def keep_last(self):
        return [[self.binary, "forget", "--quiet", "--keep-last", "1", "--prune", "--max-unused", "0"]]


class Rustic(Tool):
    name = "rustic"

    def __init__(self, binary, home):
        super().__init__(binary, home)
        self.env |= {
            "RUSTIC_REPOSITORY": str(self.vault),
            "RUSTIC_PASSWORD": PASSPHRASE,
            "RUSTIC_CACHE_DIR": str(self.home / "cache"),
            "RUSTIC_NO_PROGRESS": "true",
        }

    def init(self, data):
        return [[self.binary, "init"]]

    def backup(self, data, label):
        return [[self.binary, "backup", data]]

    def verify(self):
        return [[self.binary, "check", "--read-data"]]

    def restore(self, data, to):
        return [[self.binary, "restore", "latest", to]]

    def keep_last(self):
        return [[self.binary, "forget", "--keep-last", "1", "--prune", "--max-unused", "0B", "--instant-delete"]]


class Borg(Tool):
    name = "borg"
    ok = (0, 1)  # 1 is a warning

    def __init__(self, binary, home):
        super().__init__(binary, home)
        self.env |= {
            "BORG_REPO": str(self.vault),
            "BORG_PASSPHRASE": PASSPHRASE,
            "BORG_BASE_DIR": str(self.home),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }
        self.last = ""

    def init(self, data):
        return [[self.binary, "init", "-e", "repokey"]]

    def backup(self, data, label):
        self.last = label
        return [[self.binary, "create", "-C", "zstd,3", f"::{label}", data]]

    def verify(self):
        return [[self.binary, "check", "--verify-data"]]

    def restore(self, data, to):
        return [[self.binary, "extract", "--sparse", f"::{self.last}"]]

    def workdir(self, to):
        return to

    def keep_last(self):
        return [[self.binary, "prune", "--keep-last", "1"], [self.binary, "compact", "--threshold", "0"]]


class Bupstash(Tool):
    name = "bupstash"

    def __init__(self, binary, home):
        super().__init__(binary, home)
        self.key = self.home / "key"
        self.env |= {"BUPSTASH_REPOSITORY": str(self.vault), "BUPSTASH_KEY": str(self.key)}
        self.labels = []

    def init(self, data):
        return [[self.binary, "new-key", "-o", self.key], [self.binary, "init"]]

    def backup(self, data, label):
        self.labels.append(label)
        return [[self.binary, "put", "--quiet", "--send-log", self.home / "send-log", f"name={label}", data]]

    def verify(self):
        # It has no check; reading one backup in full comes closest.
        return [["sh", "-c", 'exec "$0" get --quiet "name=$1" > /dev/null', self.binary, self.labels[-1]]]

    def restore(self, data, to):
        return [[self.binary, "restore", "--quiet", "--into", to, f"name={self.labels[-1]}"]]

    def restored(self, data, to):
        return Path(to)

    def keep_last(self):
        removals = [[self.binary, "rm", "--quiet", f"name={label}"] for label in self.labels[:-1]]
        return [*removals, [self.binary, "gc", "--quiet"]]


class Backstop(Tool):
    name = "backstop"

    # Every command line of ours, in one place. {} are filled in below.
    COMMANDS = {
        "init": ["vault", "init", "main", "--generate-key"],
        "backup": ["backup", "trigger", "bench"],
        "list": ["backup", "list", "bench", "--json"],
        "verify": ["backup", "verify-all", "bench", "--level", "L1"],
        "restore": ["backup", "restore", "bench", "--backup", "{backup}", "--to", "{to}"],
        "delete": ["backup", "delete", "{backup}", "--yes", "--reason", "bench"],
        "prune": ["vault", "prune", "main", "--at-once", "--max-unused", "0", "--yes"],
    }

    def __init__(self, binary, home):
        super().__init__(binary, home)
        self.config = self.home / "config"
        self.state = self.home / "state"

    def command(self, name, **words):
        filled = [word.format(**words) for word in self.COMMANDS[name]]
        return [self.binary, "--config-dir", self.config, "--state-dir", self.state, *filled]

    def init(self, data):
        self.config.mkdir()
        key = self.home / "vault.key"
        (self.config / "backstop.toml").write_text(
            f"""
[vault.main]
url = "file://{self.vault}"
region = "here"
key = "file:{key}"

[limits]                      # the shortest; the prune's clock is set past it
release_percent_per_day = 100
undelete_window = "1h"

[schedule.standard]
timezone = "UTC"
daily = {{ at = "02:00", keep = 7 }}
verify = {{ every = "7d", level = "L1" }}
home = "vault:main"

[workload.bench]
kind = "files"
paths = ["{data}"]
schedule = "standard"
"""
        )
        return [self.command("init")]

    def backup(self, data, label):
        return [self.command("backup")]

    def names(self):
        """Names of the backups, oldest first."""
        import json

        argv = [str(word) for word in self.command("list")]
        answer = subprocess.run(argv, env={**os.environ, **self.env}, capture_output=True, text=True, check=True)
        found = json.loads(answer.stdout)
        backups = found if isinstance(found, list) else found["backups"]
        return [backup["name"] for backup in sorted(backups, key=lambda backup: backup["created"])]

    def verify(self):
        return [self.command("verify")]

    def restore(self, data, to):
        return [self.command("restore", backup=self.names()[-1], to=str(to))]

    def keep_last(self):
        # Two hours on, the undelete window is over.
        later = time.strftime("BACKSTOP_CLOCK=%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200))
        deletes = [self.command("delete", backup=name) for name in self.names()[:-1]]
        return [*deletes, ["env", later, *self.command("prune")]]


ALL = {tool.name: tool for tool in [Restic, Rustic, Borg, Bupstash, Backstop]}


def find(name, peers, tree):
    """The binary of a tool: an installed peer, one on the path, or ours; `None` when there is none."""
    if name == "backstop":
        ours = Path(os.environ.get("BACKSTOP", Path(tree) / "target/release/backstop"))
        return ours if ours.exists() else None
    own = Path(peers) / "bin" / name
    return own if own.exists() else shutil.which(name)
