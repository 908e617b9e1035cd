#!/usr/bin/env python3
"""Reads a vault of format 1, written from agent/docs/vault-format.md alone: a second implementation.

    read_vault.py VAULT KEYFILE                  lists snapshots and their entries
    read_vault.py VAULT KEYFILE --restore DIR    writes directories, files and symbolic links of every snapshot
    read_vault.py VAULT KEYFILE --expect JSON    compares everything with a recorded expectation

Checks whatever a reader must check, and more: that contents are cut where the format says, and that packs and index
agree. Slow and simple on purpose.
"""

import argparse
import hashlib
import json
import math
import os
import pathlib
import sys

import blake3
import zstandard
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HEADER, TAG, TRAILER = 48, 16, 16
BLOCK_MAX, LIST_MAX, PATH_MAX = 8 << 20, 64 << 10, 1 << 20
BODY, LAST = 0, 1
KINDS = {1: "pack", 2: "index", 3: "snapshot"}


class Damaged(Exception):
    pass


def need(truth, why):
    if not truth:
        raise Damaged(why)


def digest(data):
    return blake3.blake3(data).digest()


def keyed(key, data):
    return blake3.blake3(data, key=key).digest()


def derive(context, material):
    return blake3.blake3(material, derive_key_context="backstop vault 1: " + context).digest()


# ---- primitives


class Input:
    def __init__(self, data):
        self.data, self.at = data, 0

    def raw(self, length):
        need(self.at + length <= len(self.data), "ends early")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self):
        value = shift = 0
        while True:
            byte = self.raw(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                need(value < 1 << 64, "number too large")
                return value
            need(shift < 70, "number too long")

    def signed(self):
        raw = self.number()
        return (raw >> 1) ^ -(raw & 1)

    def blob(self):
        return self.raw(self.number())

    def end(self):
        return self.at == len(self.data)


# ---- keys


def unlock(vault, vault_id, secret):
    """The ring: the chunk key and one secret per epoch."""
    prefix = b"backstop-key-1:"
    raw = None
    if secret.startswith(prefix):
        raw = bytes.fromhex(secret[len(prefix) :].decode().rstrip())
    best = None
    for path in sorted((vault / "keys").iterdir()):
        slot = json.loads(path.read_bytes())
        derivation = slot["derivation"]
        if derivation == "raw" and raw is not None:
            scalar = derive("raw key", raw)
        elif derivation != "raw" and raw is None:
            from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

            cost = derivation["argon2id"]
            need(cost["memory"] <= 1 << 20 and cost["passes"] <= 64 and cost["lanes"] <= 16, "absurd cost")
            kdf = Argon2id(
                salt=bytes.fromhex(cost["salt"]),
                length=32,
                iterations=cost["passes"],
                lanes=cost["lanes"],
                memory_cost=cost["memory"],
            )
            scalar = kdf.derive(secret)
        else:
            continue
        private = X25519PrivateKey.from_private_bytes(scalar)
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        if public.hex() != slot["public"]:
            continue
        sender = bytes.fromhex(slot["ephemeral"])
        shared = private.exchange(X25519PublicKey.from_public_bytes(sender))
        trust = derive("slot seal", scalar)
        key = derive("slot wrapping", shared + sender + public + trust)
        binding = f"{vault_id}/{slot['slot']}/{slot['generation']}".encode()
        ring = json.loads(AESGCM(key).decrypt(bytes(12), bytes.fromhex(slot["ring"]), binding))
        chunk_key = bytes.fromhex(ring["chunk_key"])
        epochs = {int(number): bytes.fromhex(epoch) for number, epoch in ring["epochs"].items()}
        # The slot's seal of trust, as a holder of the ring checks it.
        trust_key = derive("slot trust", chunk_key + slot["slot"].encode())
        identity = f"{vault_id}/{slot['slot']}/{slot['public']}".encode()
        need(AESGCM(trust_key).decrypt(bytes(12), bytes.fromhex(slot["trust"]), identity) == trust, "slot trust")
        if best is None or max(epochs) > max(best[1]):
            best = (chunk_key, epochs)
    need(best is not None, "the key opens no slot")
    return best


# ---- sealed objects


class Seal:
    def __init__(self, ring, kind, epoch, salt):
        secret = derive(kind, ring[1][epoch])
        self.aead = AESGCM(keyed(secret, salt))
        number = next(number for number, name in KINDS.items() if name == kind)
        self.header = b"BACKSTOP" + bytes([number, 1, 0, 0]) + epoch.to_bytes(4, "little") + salt

    def open(self, counter, role, sealed):
        nonce = role.to_bytes(4, "little") + counter.to_bytes(8, "little")
        return self.aead.decrypt(nonce, sealed, self.header)


def seal_of(ring, kind, data):
    header = data[:HEADER]
    need(header[:8] == b"BACKSTOP" and KINDS.get(header[8]) == kind, "not an object of this kind")
    need(header[9] == 1 and header[10:12] == b"\0\0", "another format")
    return Seal(ring, kind, int.from_bytes(header[12:16], "little"), header[16:HEADER])


def open_object(ring, kind, data):
    seal = seal_of(ring, kind, data)
    plain, at, number = b"", HEADER, 0
    while True:
        length = int.from_bytes(data[at : at + 4], "little")
        need(at + 4 <= len(data) and at + 4 + length <= len(data), "ends early")
        at += 4 + length
        role = LAST if at == len(data) else BODY
        plain += seal.open(number, role, data[at - length : at])
        if role == LAST:
            return plain
        number += 1


# ---- packs and index


class Block:
    def __init__(self, pack, offset, sealed, plain, compressed, epoch, salt, counter, chunks):
        self.pack, self.offset, self.sealed, self.plain = pack, offset, sealed, plain
        self.compressed, self.epoch, self.salt, self.counter, self.chunks = compressed, epoch, salt, counter, chunks
        need(plain <= BLOCK_MAX and sealed >= TAG, "not a block")
        need(sum(length for _, length in chunks) == plain, "block lengths do not add up")

    def same(self):
        keys = [(name[:16], length) for name, length in self.chunks]
        return (self.offset, self.sealed, self.plain, self.compressed, self.epoch, self.salt, self.counter, keys)


def read_directory(ring, pack, data):
    seal = seal_of(ring, "pack", data)
    need(data[-8:] == b"BSTOPEND" and data[-12:-8] == bytes(4), "end mark")
    length = int.from_bytes(data[-16:-12], "little")
    where = len(data) - TRAILER - length
    source = Input(seal.open(0, LAST, data[where : where + length]))
    own = (int.from_bytes(data[12:16], "little"), data[16:HEADER])
    seals = [own] + [(source.number(), source.raw(32)) for _ in range(source.number())]
    blocks, offset = [], HEADER
    for _ in range(source.number()):
        sealed, plain, compressed = source.number(), source.number(), source.number()
        need(compressed in (0, 1), "unknown compression")
        epoch, salt = seals[source.number()]
        counter = source.number()
        chunks = [(source.raw(32), source.number()) for _ in range(source.number())]
        blocks.append(Block(pack, offset, sealed, plain, bool(compressed), epoch, salt, counter, chunks))
        offset += sealed
    need(source.end() and offset == where, "the directory does not match the pack")
    return blocks


def read_index(ring, data):
    source = Input(open_object(ring, "index", data))
    for _ in range(source.number()):
        source.raw(32)  # objects this one replaced
    packs = {}
    for _ in range(source.number()):
        name, size = source.raw(32).hex(), source.number()
        blocks, offset, seal = [], HEADER, None
        for _ in range(source.number()):
            sealed, plain, flags = source.number(), source.number(), source.number()
            need(flags <= 3, "unknown flags")
            if flags & 2:
                seal = (source.number(), source.raw(32))
            counter = source.number()
            chunks = [(source.raw(16), source.number()) for _ in range(source.number())]
            blocks.append(Block(name, offset, sealed, plain, bool(flags & 1), *seal, counter, chunks))
            offset += sealed
        need(offset <= size < 1 << 32, "a pack shorter than its blocks")
        packs[name] = blocks
    need(source.end(), "bytes left over")
    return packs


# ---- manifests


def read_extents(source):
    count = source.number()
    need(count <= LIST_MAX, "too many extents")
    extents = []
    for _ in range(count):
        word = source.number()
        if word & 1:
            extents.append((None, word >> 1))
        else:
            need(word >> 1 <= BLOCK_MAX, "chunk too long")
            extents.append((source.raw(32), word >> 1))
    return extents


def read_segment(data):
    source, path, entries = Input(data), b"", []
    while not source.end():
        shared = source.number()
        need(shared <= len(path), "path shares more than there is")
        path = path[:shared] + source.blob()
        parts = path.split(b"/")
        need(path == b"" or not any(part in (b"", b".", b"..") for part in parts), "path climbs")
        need(len(path) <= PATH_MAX and b"\0" not in path, "path")
        tag = source.raw(1)[0]
        entry = {"path": path, "mode": source.number(), "uid": source.number(), "gid": source.number()}
        entry["mtime"] = (source.signed(), source.number())
        entry["ctime"] = (entry["mtime"][0] + source.signed(), source.number())
        entry["inode"], entry["links"] = source.number(), source.number()
        entry["device"] = source.number() if entry["links"] > 1 else 0
        entry["size"], entry["extents"], entry["lists"], entry["xattrs"] = 0, [], [], []
        entry["torn"] = bool(tag & 0x80)
        kind = tag & 0x0F
        need(kind <= 5, "unknown kind of entry")
        if kind == 0:
            entry["kind"] = "directory"
        elif kind == 1:
            entry["kind"] = "file blocks" if tag & 0x40 else "file content"
            entry["size"] = source.number()
            if tag & 0x10:
                entry["lists"] = [(source.raw(32), source.number()) for _ in range(source.number())]
            else:
                entry["extents"] = read_extents(source)
            covered = sum(length for _, length in entry["extents"] + entry["lists"])
            need(covered == entry["size"], "extents do not add up to the file")
        elif kind == 2:
            entry["target"] = source.blob()
            entry["kind"] = "symlink " + entry["target"].hex()
        elif kind == 3:
            entry["kind"] = "fifo"
        else:
            entry["kind"] = f"{'block' if kind == 4 else 'char'} {source.number()}:{source.number()}"
        if tag & 0x20:
            entry["xattrs"] = [(source.blob(), source.blob()) for _ in range(source.number())]
        if entries:
            rank = lambda p: p.split(b"/") if p else []
            need(rank(entries[-1]["path"]) < rank(path), "entries out of order")
        entries.append(entry)
    return entries


# ---- content-defined cuts


class Cutter:
    def __init__(self, cuts, seed):
        self.cuts = cuts
        gear = [int.from_bytes(hashlib.md5(bytes([n]) * 64).digest()[:8], "big") for n in range(256)]
        self.gear = [value ^ seed for value in gear]
        bits = round(math.log2(cuts["avg"]))
        self.strict, self.loose = MASKS[bits + 1], MASKS[bits - 1]

    def lengths(self, data):
        out = []
        while data:
            out.append(self.cut(data))
            data = data[out[-1] :]
        return out

    def cut(self, data):
        least, average, most = self.cuts["min"], self.cuts["avg"], self.cuts["max"]
        if len(data) <= least:
            return len(data)
        limit = min(len(data), most)
        center = min(average, limit)
        value, everything, gear = 0, (1 << 64) - 1, self.gear
        # Bytes are taken in pairs; an odd last byte is not looked at.
        for at in range(least, limit - limit % 2):
            value = ((value << 1) + gear[data[at]]) & everything
            if at - at % 2 < center - center % 2:
                mask = self.strict
            else:
                mask = self.loose
            if value & mask == 0:
                return at
        return limit


MASKS = {
    19: 0x0000D91707537000, 20: 0x0000D91747537000, 21: 0x0000D91767537000, 22: 0x0000D93767537000,
    23: 0x0000D93777537000,
}  # fmt: skip


# ---- the vault


class Vault:
    def __init__(self, path, secret):
        self.path = pathlib.Path(path)
        lines = (self.path / "config").read_bytes().split(b"\n")
        config = json.loads(lines[0])
        need(config["backstop_vault"] == 1, "another format")
        self.id, self.cuts = config["id"], config["cuts"]
        self.ring = unlock(self.path, self.id, secret)
        chunk_key = self.ring[0]
        need(keyed(derive("config", chunk_key), lines[0]).hex().encode() == lines[1], "config does not authenticate")
        self.id_key = derive("chunk id", chunk_key)
        self.cutter = Cutter(self.cuts, int.from_bytes(derive("cut", chunk_key)[:8], "little"))
        self.chunks, self.open_blocks = {}, {}
        marked = {name.name.split(".")[0] for name in self.objects("trash/packs")}
        packs = {}
        for path in self.objects("index"):
            data = path.read_bytes()
            need(digest(data).hex() == path.name, "index name")
            packs.update(read_index(self.ring, data))
        # Packs that stay come last, so that of several copies of a chunk the safest is found.
        present = {path.name for path in (self.path / "packs").glob("*/*")}
        for name in sorted(packs, key=lambda name: (name in present, name not in marked)):
            for block in packs[name]:
                at = 0
                for key, length in block.chunks:
                    self.chunks[key] = (block, at, length)
                    at += length
        for path in (self.path / "packs").glob("*/*"):
            data = path.read_bytes()
            need(digest(data).hex() == path.name and path.parent.name == path.name[:2], "pack name")
            blocks = read_directory(self.ring, path.name, data)
            if path.name in packs:
                need([b.same() for b in blocks] == [b.same() for b in packs[path.name]], "index and pack disagree")

    def objects(self, prefix):
        folder = self.path / prefix
        return sorted(folder.iterdir()) if folder.exists() else []

    def block(self, block):
        place = (block.pack, block.offset)
        if place not in self.open_blocks:
            with open(self.path / "packs" / block.pack[:2] / block.pack, "rb") as pack:
                pack.seek(block.offset)
                sealed = pack.read(block.sealed)
            plain = Seal(self.ring, "pack", block.epoch, block.salt).open(block.counter, BODY, sealed)
            if block.compressed:
                plain = zstandard.ZstdDecompressor().decompress(plain, max_output_size=block.plain)
            need(len(plain) == block.plain, "block length")
            self.open_blocks[place] = plain
        return self.open_blocks[place]

    def chunk(self, name):
        block, at, length = self.chunks[name[:16]]
        data = self.block(block)[at : at + length]
        need(keyed(self.id_key, data) == name, "a chunk is not the one it was named after")
        return data

    def snapshot(self, path):
        data = path.read_bytes()
        need(digest(data).hex() == path.name[:64], "snapshot name")
        record = json.loads(open_object(self.ring, "snapshot", data))
        record["id"] = path.name[:64]
        return record

    def snapshots(self):
        found = [self.snapshot(path) for path in self.objects("snapshots")]
        return sorted(found, key=lambda record: (record["about"]["captured"], record["id"]))

    def entries(self, record):
        for branch in record["branches"]:
            source = Input(self.chunk(bytes.fromhex(branch)))
            for _ in range(source.number()):
                first, count, name = source.blob(), source.number(), source.raw(32)
                segment = read_segment(self.chunk(name))
                need(len(segment) == count and segment[0]["path"] == first, "the branch does not match its segment")
                yield from segment
            need(source.end(), "bytes left over")

    def extents(self, entry):
        found = list(entry["extents"])
        for name, covers in entry["lists"]:
            source = Input(self.chunk(name))
            part = read_extents(source)
            need(source.end() and sum(length for _, length in part) == covers, "the list does not cover its part")
            found += part
        return found

    def contents(self, entry):
        parts = []
        for name, length in self.extents(entry):
            data = bytes(length) if name is None else self.chunk(name)
            need(len(data) == length, "extent length")
            parts.append(data)
        return b"".join(parts)

    def check_cuts(self, entry, data):
        """That a file without holes was cut where the format says."""
        extents = self.extents(entry)
        if entry["kind"] != "file content" or entry["torn"] or any(name is None for name, _ in extents):
            return 0
        need(self.cutter.lengths(data) == [length for _, length in extents], "cut elsewhere")
        return len(extents)


def describe(vault, entry):
    data = vault.contents(entry)
    return {
        "path": entry["path"].hex(),
        "kind": entry["kind"],
        "mode": entry["mode"],
        "uid": entry["uid"],
        "gid": entry["gid"],
        "mtime": list(entry["mtime"]),
        "links": entry["links"],
        "size": entry["size"],
        "digest": digest(data).hex(),
        "xattrs": [[name.hex(), value.hex()] for name, value in entry["xattrs"]],
        "extents": len(entry["extents"]),
        "lists": len(entry["lists"]),
    }


def compare(vault, expected):
    need(vault.id == expected["vault"] and max(vault.ring[1]) == expected["epochs"], "another vault")
    found = vault.snapshots()
    need([s["id"] for s in found] == [s["id"] for s in expected["snapshots"]], "other snapshots")
    trashed = [path.name.split(".")[0] for path in vault.objects("trash/snapshots")]
    need(trashed == expected["trashed"], "other snapshots in the trash")
    for path in vault.objects("trash/snapshots"):
        vault.snapshot(path)
    files = cut = 0
    for record, want in zip(found, expected["snapshots"]):
        need(record["about"]["backup"] == want["backup"], "another name")
        listing = blake3.blake3()
        shown = []
        for entry in vault.entries(record):
            entry_text = json.dumps(describe(vault, entry), separators=(",", ":"))
            listing.update(entry_text.encode() + b"\n")
            if not entry["path"].startswith(b"srv/many/"):
                shown.append(json.loads(entry_text))
            files += 1
            cut = max(cut, vault.check_cuts(entry, vault.contents(entry)))
        need(shown == want["entries"], f"entries of {want['backup']} differ")
        need(listing.hexdigest() == want["listing"], f"the listing of {want['backup']} differs")
    need(cut > 1, "no file was cut, so cuts were not compared")
    print(f"{len(found)} snapshots and {files} entries read as recorded")


def restore(vault, folder):
    for record in vault.snapshots():
        for entry in vault.entries(record):
            path = os.path.join(os.fsencode(folder), record["about"]["backup"].encode(), entry["path"])
            if entry["kind"] == "directory":
                os.makedirs(path, exist_ok=True)
            elif entry["kind"].startswith("file"):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as out:
                    out.write(vault.contents(entry))
            elif entry["kind"].startswith("symlink"):
                os.symlink(entry["target"], path)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("vault")
    arguments.add_argument("keyfile")
    arguments.add_argument("--restore", metavar="DIR")
    arguments.add_argument("--expect", metavar="JSON")
    chosen = arguments.parse_args()
    vault = Vault(chosen.vault, pathlib.Path(chosen.keyfile).read_bytes().rstrip(b"\n"))
    if chosen.expect:
        compare(vault, json.loads(pathlib.Path(chosen.expect).read_text()))
    elif chosen.restore:
        restore(vault, chosen.restore)
    else:
        for record in vault.snapshots():
            print(record["id"][:12], record["about"]["backup"], record["about"]["captured"])
            for entry in vault.entries(record):
                print(f"  {entry['mode']:04o} {entry['size']:>10} /{os.fsdecode(entry['path'])!r}")


if __name__ == "__main__":
    try:
        main()
    except Damaged as damage:
        sys.exit(f"damaged: {damage}")
