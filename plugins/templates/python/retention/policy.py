"""Of the newest 7 days, 4 weeks and 12 months, by the local date, the first backup each; the rest may go.

The settings `daily`, `weekly` and `monthly` say otherwise.
"""

import math
from datetime import date, timedelta

from componentize_py_types import Err
from wit_world.exports import RetentionRules as World
from wit_world.exports.retention_rules import Backup, ReleaseQuestion, TiersAnswer, TiersQuestion, Verdict
from wit_world.imports import log
from wit_world.imports.types import Field, Value_Whole


def day(backup: Backup) -> int:
    """The number of the local day; 0 is 1970-01-01."""
    return backup.local // 86_400


def week(backup: Backup) -> int:
    """Day 0 was a Thursday; weeks begin on Monday."""
    return (day(backup) + 3) // 7


def month(backup: Backup) -> int:
    first = date(1970, 1, 1) + timedelta(day(backup))
    return first.year * 12 + first.month


class Rule:
    def __init__(self, key, keep, period):
        self.key, self.keep, self.period = key, keep, period

    def begin(self, counted: list[Backup]):
        """Finds the newest periods, those that are kept."""
        self.left = set(sorted({self.period(backup) for backup in counted}, reverse=True)[: self.keep])

    def takes(self, backup: Backup) -> bool:
        """Called with the oldest backup first, so that the first of a period comes first."""
        period = self.period(backup)
        taken = period in self.left
        self.left.discard(period)
        return taken


class RetentionRules(World):
    def tiers(self, question: TiersQuestion) -> TiersAnswer:
        """The tiers to add to those of the calendar: none."""
        return TiersAnswer([], "")

    def release(self, question: ReleaseQuestion) -> list[Verdict]:
        """Which backups may go. A raised `Err` means that no answer was found: everything is kept."""
        rules = read_settings(question.settings)
        counted = [b for b in question.backups if not b.held and b.created <= question.now and b.complete]
        newest = counted[-1].created if counted else -math.inf
        for rule in rules:
            rule.begin(counted)
        verdicts = []
        for position, backup in enumerate(question.backups):
            why = why_kept(backup, question.now, newest, rules)
            verdicts.append(Verdict(position, not why, why or "no period needs it"))
        kept = sum(not verdict.release for verdict in verdicts)
        log.write(log.Severity.DEBUG, f"keeps {kept} of {len(verdicts)}")
        return verdicts


def why_kept(backup: Backup, now: int, newest: float, rules: list[Rule]) -> str:
    """Empty when nothing keeps it."""
    if backup.held:
        return "it is held"
    if backup.created > now:
        return "it is dated after now"
    if not backup.complete:
        return "nothing complete is newer" if backup.created > newest else ""
    return ", ".join([rule.key for rule in rules if rule.takes(backup)])


def read_settings(settings: list[Field]) -> list[Rule]:
    """A slip of the pen must not turn a rule off: what is not understood is an error."""
    rules = [Rule("daily", 7, day), Rule("weekly", 4, week), Rule("monthly", 12, month)]
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
