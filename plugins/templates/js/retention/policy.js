// Keeps the newest backup of each of the newest 7 days, 4 weeks and 12 months, by the local date. The settings `daily`,
// `weekly` and `monthly` say otherwise.
import log from "backstop:policy/log@1.0.0";

const DAY = 86_400;

// The number of the period that a backup falls into; later periods have greater numbers.
const day = ({ created, local }) => Math.floor((created + local.offset) / DAY);
const RULES = [
  { key: "daily", many: "days", keep: 7, period: day },
  // Day 0, 1970-01-01, was a Thursday; weeks begin on Monday.
  { key: "weekly", many: "weeks", keep: 4, period: (backup) => Math.floor((day(backup) + 3) / 7) },
  { key: "monthly", many: "months", keep: 12, period: ({ local }) => local.year * 12 + local.month },
];

export const retentionRules = {
  // The tiers to add to those of the calendar: none.
  tiers() {
    return { tiers: [], reason: "" };
  },

  // Which backups may go. A thrown text means that no answer was found: everything is kept.
  release(question) {
    const rules = readSettings(question.settings);
    const beyond = `not among the newest ${rules.map(({ keep, many }) => `${keep} ${many}`).join(", ")}`;
    const verdicts = [];
    for (let backup = question.backups.length - 1; backup >= 0; backup--) {
      const why = whyKept(question.backups[backup], question.now, rules);
      verdicts.push({ backup, release: why === "", reason: why || beyond });
    }
    verdicts.reverse();
    log.write("debug", `keeps ${verdicts.filter(({ release }) => !release).length} of ${verdicts.length}`);
    return verdicts;
  },
};

// Backups come newest first, so the first of a period is its newest.
function whyKept(backup, now, rules) {
  if (backup.held) return "it is held";
  if (backup.created > now) return "it is dated after now";
  const reasons = [];
  for (const rule of rules) {
    const period = rule.period(backup);
    if (rule.seen < rule.keep && period < rule.last) {
      rule.seen += 1;
      rule.last = period;
      reasons.push(`${rule.key} ${rule.seen} of ${rule.keep}`);
    }
  }
  return reasons.join(", ");
}

// A slip of the pen must not turn a rule off: what is not understood is an error.
function readSettings(settings) {
  const rules = RULES.map((rule) => ({ ...rule, seen: 0, last: Infinity }));
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
