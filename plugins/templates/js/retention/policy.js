// Of the newest 7 days, 4 weeks and 12 months, by the local date, the first backup each; the rest may go. The settings
// `daily`, `weekly` and `monthly` say otherwise.
import log from "backstop:policy/log@1.0.0";

// `local` is what a clock there showed, in seconds: a date in UTC shows the same.
const date = ({ local }) => new Date(local * 1000);
// The number of the period that a backup falls into; later periods have greater numbers.
const day = ({ local }) => Math.floor(local / 86_400);
// Day 0, 1970-01-01, was a Thursday; weeks begin on Monday.
const week = (backup) => Math.floor((day(backup) + 3) / 7);
const year = (backup) => date(backup).getUTCFullYear();
const month = (backup) => year(backup) * 12 + date(backup).getUTCMonth();
const RULES = [
  { key: "daily", keep: 7, period: day },
  { key: "weekly", keep: 4, period: week },
  { key: "monthly", keep: 12, period: month },
];

export const retentionRules = {
  // The tiers to add to those of the calendar: none.
  tiers() {
    return { tiers: [], reason: "" };
  },

  // Which backups may go. A thrown text means that no answer was found: everything is kept.
  release({ settings, backups, now }) {
    const rules = readSettings(settings);
    const counted = backups.filter(({ held, created, complete }) => !held && created <= now && complete);
    const newest = counted.at(-1)?.created ?? -Infinity;
    for (const rule of rules) rule.oldest = oldestPeriod(rule, counted);
    const verdicts = backups.map((backup, position) => {
      const why = whyKept(backup, now, newest, rules);
      return { backup: position, release: why === "", reason: why || "no period needs it" };
    });
    log.write("debug", `keeps ${verdicts.filter(({ release }) => !release).length} of ${verdicts.length}`);
    return verdicts;
  },
};

// The oldest of the newest periods that a rule keeps.
function oldestPeriod({ keep, period }, counted) {
  let seen = 0;
  let oldest = Infinity;
  for (let at = counted.length - 1; at >= 0 && seen < keep; at--) {
    if (period(counted[at]) < oldest) {
      oldest = period(counted[at]);
      seen += 1;
    }
  }
  return oldest;
}

// Called with the oldest backup first, so that the first of a period comes first. Empty when nothing keeps it.
function whyKept(backup, now, newest, rules) {
  if (backup.held) return "it is held";
  if (backup.created > now) return "it is dated after now";
  if (!backup.complete) return backup.created > newest ? "nothing complete is newer" : "";
  const reasons = [];
  for (const rule of rules) {
    const period = rule.period(backup);
    if (period >= rule.oldest && period > rule.last) {
      rule.last = period;
      reasons.push(rule.key);
    }
  }
  return reasons.join(", ");
}

// A slip of the pen must not turn a rule off: what is not understood is an error.
function readSettings(settings) {
  const rules = RULES.map((rule) => ({ ...rule, last: -Infinity }));
  for (const { key } of settings) {
    if (!rules.some((rule) => rule.key === key)) throw `setting \`${key}\` is not known: there are daily, weekly, monthly`;
  }
  for (const rule of rules) {
    const value = settings.find(({ key }) => key === rule.key)?.value;
    if (!value) continue;
    if (value.tag !== "whole" || value.val < 0 || value.val > 1000) {
      throw `setting \`${rule.key}\` wants a whole number from 0 to 1000`;
    }
    rule.keep = value.val;
  }
  if (rules.every(({ keep }) => keep === 0)) throw "daily, weekly and monthly are all 0: that would keep nothing";
  return rules;
}
