"""What was measured, as tables for people and as JSON for programs."""

import statistics

STEPS = ["initial", "unchanged", "changed", "verify", "restore", "prune"]


def median(rows, key):
    values = [row[key] for row in rows if row.get(key) is not None]
    return statistics.median(values) if values else None


def summarise(measured):
    """One row per set, step and tool: the median of its runs, with the ratio to restic in the same report."""
    groups = {}
    for row in measured:
        groups.setdefault((row["set"], row["step"], row["tool"]), []).append(row)
    rows = []
    for (name, step, tool), runs in groups.items():
        keys = ["cpu", "wall", "rss", "vault", "growth", "objects", "restored_on_disk"]
        rows.append({"set": name, "step": step, "tool": tool, "runs": len(runs), **{key: median(runs, key) for key in keys}})
    of_restic = {(row["set"], row["step"]): row for row in rows if row["tool"] == "restic"}
    for row in rows:
        restic = of_restic.get((row["set"], row["step"]))
        for key in ["cpu", "wall", "vault"]:
            row[f"{key}_to_restic"] = row[key] / restic[key] if restic and restic[key] and row[key] is not None else None
    return rows


def mb(value):
    return "–" if value is None else f"{value / 1e6:.1f}"


def ratio(value):
    return "–" if value is None else f"{value:.2f}×"


def markdown(machine, sets, rows, notes):
    """The whole report. MB are 10^6 bytes."""
    out = ["# Benchmark", ""]
    out += [f"- {key}: {value}" for key, value in machine.items()]
    out += [f"- {note}" for note in notes]
    for name, facts in sets.items():
        out += ["", f"## {name}", ""]
        out += [f"{facts['files']} files, {facts['folders']} folders, {facts['bytes'] / 1e6:.1f} MB. "
                f"Generation 2: {', '.join(f'{value} {key}' for key, value in facts['second'].items())}.", ""]
        out += ["| step | tool | CPU s | wall s | peak RSS MB | vault MB | growth MB | objects | CPU : restic | wall : restic |",
                "|---|---|---|---|---|---|---|---|---|---|"]
        for step in STEPS:
            for row in rows:
                if row["set"] == name and row["step"] == step:
                    out.append(
                        f"| {step} | {row['tool']} | {row['cpu']:.2f} | {row['wall']:.2f} | {mb(row['rss'])} | "
                        f"{mb(row['vault'])} | {mb(row['growth'])} | {row['objects'] or 0:.0f} | "
                        f"{ratio(row['cpu_to_restic'])} | {ratio(row['wall_to_restic'])} |"
                    )
        sparse = [f"{row['tool']} {mb(row['restored_on_disk'])} MB" for row in rows
                  if row["set"] == name and row["step"] == "restore" and row["restored_on_disk"]]
        if sparse:
            out += ["", f"Restored, on disk: {', '.join(sparse)}."]
    return "\n".join(out) + "\n"
