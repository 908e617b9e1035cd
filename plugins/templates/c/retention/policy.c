// Keeps the newest backup of each of the newest 7 days, 4 weeks and 12 months, by the local date. The settings `daily`,
// `weekly` and `monthly` say otherwise.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "retention.h"

typedef exports_retention_backup_t backup_t;

typedef struct {
  const char *key;
  const char *many;
  int64_t keep;
  // The number of the period that a backup falls into; later periods have greater numbers.
  int64_t (*period)(const backup_t *);
  int64_t seen;
  int64_t last;
} rule_t;

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static int64_t day(const backup_t *backup) { return floor_div(backup->created + backup->local.offset, 86400); }

// Day 0, 1970-01-01, was a Thursday; weeks begin on Monday.
static int64_t week(const backup_t *backup) { return floor_div(day(backup) + 3, 7); }

static int64_t month(const backup_t *backup) { return backup->local.year * 12 + backup->local.month; }

// What is asked for is freed by the generated code, what is answered too. Each call has an instance of its own, so the
// rest may stay.
static const rule_t DEFAULTS[3] = {
    {"daily", "days", 7, day, 0, INT64_MAX},
    {"weekly", "weeks", 4, week, 0, INT64_MAX},
    {"monthly", "months", 12, month, 0, INT64_MAX},
};

static bool is(const retention_string_t *text, const char *word) {
  return text->len == strlen(word) && memcmp(text->ptr, word, text->len) == 0;
}

// A slip of the pen must not turn a rule off: what is not understood is an error.
static bool read_settings(const exports_retention_list_field_t *settings, rule_t rules[3], retention_string_t *err) {
  char message[320];
  memcpy(rules, DEFAULTS, sizeof DEFAULTS);
  for (size_t i = 0; i < settings->len; i++) {
    const backstop_field_t *field = &settings->ptr[i];
    bool known = false;
    for (int r = 0; r < 3; r++) known |= is(&field->key, rules[r].key);
    if (!known) {
      snprintf(message, sizeof message, "setting `%.*s` is not known: there are daily, weekly, monthly",
               (int)field->key.len, (const char *)field->key.ptr);
      retention_string_dup(err, message);
      return false;
    }
  }
  for (int r = 0; r < 3; r++) {
    for (size_t i = 0; i < settings->len; i++) {
      const backstop_field_t *field = &settings->ptr[i];
      if (!is(&field->key, rules[r].key)) continue;
      if (field->value.tag != BACKSTOP_VALUE_WHOLE || field->value.val.whole < 0 || field->value.val.whole > 1000) {
        snprintf(message, sizeof message, "setting `%s` wants a whole number from 0 to 1000", rules[r].key);
        retention_string_dup(err, message);
        return false;
      }
      rules[r].keep = field->value.val.whole;
    }
  }
  if (rules[0].keep == 0 && rules[1].keep == 0 && rules[2].keep == 0) {
    retention_string_dup(err, "daily, weekly and monthly are all 0: that would keep nothing");
    return false;
  }
  return true;
}

// Backups come newest first, so the first of a period is its newest. Leaves `why` empty when nothing keeps it.
static void why_kept(const backup_t *backup, int64_t now, rule_t rules[3], char *why, size_t size) {
  why[0] = 0;
  if (backup->held) {
    snprintf(why, size, "it is held");
    return;
  }
  if (backup->created > now) {
    snprintf(why, size, "it is dated after now");
    return;
  }
  for (int r = 0; r < 3; r++) {
    rule_t *rule = &rules[r];
    int64_t period = rule->period(backup);
    if (rule->seen == rule->keep || period >= rule->last) continue;
    rule->seen += 1;
    rule->last = period;
    size_t end = strlen(why);
    snprintf(why + end, size - end, "%s%s %d of %d", end ? ", " : "", rule->key, (int)rule->seen, (int)rule->keep);
  }
}

// The tiers to add to those of the calendar: none.
bool exports_retention_tiers(exports_retention_tiers_question_t *question, exports_retention_tiers_answer_t *answer,
                             retention_string_t *err) {
  (void)err;
  exports_retention_tiers_question_free(question);
  answer->tiers = (retention_list_string_t){.ptr = NULL, .len = 0};
  retention_string_dup(&answer->reason, "");
  return true;
}

// Which backups may go. False means that no answer was found: everything is kept.
bool exports_retention_release(exports_retention_release_question_t *question, exports_retention_list_verdict_t *answer,
                               retention_string_t *err) {
  rule_t rules[3];
  if (!read_settings(&question->settings, rules, err)) return false;
  char beyond[120], why[120], line[80];
  snprintf(beyond, sizeof beyond, "not among the newest %d days, %d weeks, %d months", (int)rules[0].keep,
           (int)rules[1].keep, (int)rules[2].keep);
  size_t count = question->backups.len, kept = 0;
  answer->len = count;
  answer->ptr = calloc(count ? count : 1, sizeof *answer->ptr);
  if (answer->ptr == NULL) abort();
  for (size_t i = count; i-- > 0;) {
    why_kept(&question->backups.ptr[i], question->now, rules, why, sizeof why);
    answer->ptr[i].backup = (uint32_t)i;
    answer->ptr[i].release = why[0] == 0;
    retention_string_dup(&answer->ptr[i].reason, why[0] ? why : beyond);
    kept += why[0] != 0;
  }
  snprintf(line, sizeof line, "keeps %zu of %zu", kept, count);
  retention_string_t text;
  retention_string_set(&text, line);
  log_write(LOG_SEVERITY_DEBUG, &text);
  exports_retention_release_question_free(question);
  return true;
}
