"""Keeps the newest backup of each of the newest 7 days, 4 weeks and 12 months, by the local date.

The settings `daily`, `weekly` and `monthly` say otherwise.
"""

from componentize_py_types import Err
from wit_world.exports import RetentionRules as World
from wit_world.exports.retention_rules import Backup, ReleaseQuestion, TiersAnswer, TiersQuestion, Verdict
from wit_world.imports import log
from wit_world.imports.types import Field, Value_Whole


def day(backup: Backup) -> int:
    """The number of the local day; 0 is 1970-01-01."""
    return (backup.created + backup.local.offset) // 86_400


def week(backup: Backup) -> int:
    """Day 0 was a Thursday; weeks begin on Monday."""
    return (day(backup) + 3) // 7


def month(backup: Backup) -> int:
    return backup.local.year * 12 + backup.local.month


class Rule:
    def __init__(self, key, many, keep, period):
        self.key, self.many, self.keep, self.period = key, many, keep, period
        self.seen = 0
        self.last = None

    def takes(self, backup: Backup) -> bool:
        """Backups come newest first, so the first of a period is its newest."""
        period = self.period(backup)
        if self.seen == self.keep or (self.last is not None and period >= self.last):
            return False
        self.seen += 1
        self.last = period
        return True


class RetentionRules(World):
    def tiers(self, question: TiersQuestion) -> TiersAnswer:
        """The tiers to add to those of the calendar: none."""
        return TiersAnswer([], "")

    def release(self, question: ReleaseQuestion) -> list[Verdict]:
        """Which backups may go. A raised `Err` means that no answer was found: everything is kept."""
        rules = read_settings(question.settings)
        beyond = "not among the newest " + ", ".join(f"{rule.keep} {rule.many}" for rule in rules)
        verdicts = []
        for position in reversed(range(len(question.backups))):
            why = why_kept(question.backups[position], question.now, rules)
            verdicts.append(Verdict(position, not why, why or beyond))
        verdicts.reverse()
        kept = sum(not verdict.release for verdict in verdicts)
        log.write(log.Severity.DEBUG, f"keeps {kept} of {len(verdicts)}")
        return verdicts


def why_kept(backup: Backup, now: int, rules: list[Rule]) -> str:
    if backup.held:
        return "it is held"
    if backup.created > now:
        return "it is dated after now"
    return ", ".join(f"{rule.key} {rule.seen} of {rule.keep}" for rule in rules if rule.takes(backup))


def read_settings(settings: list[Field]) -> list[Rule]:
    """A slip of the pen must not turn a rule off: what is not understood is an error."""
    rules = [Rule("daily", "days", 7, day), Rule("weekly", "weeks", 4, week), Rule("monthly", "months", 12, month)]
    for setting in settings:
        if setting.key not in [rule.key for rule in rules]:
            raise Err(f"setting `{setting.key}` is not known: there are daily, weekly, monthly")
    for rule in rules:
        for setting in settings:
            if setting.key == rule.key:
                if not isinstance(setting.value, Value_Whole) or not 0 <= setting.value.value <= 1000:
                    raise Err(f"setting `{rule.key}` wants a whole number from 0 to 1000")
                rule.keep = setting.value.value
    if all(rule.keep == 0 for rule in rules):
        raise Err("daily, weekly and monthly are all 0: that would keep nothing")
    return rules
