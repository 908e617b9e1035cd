// Of the newest 7 days, 4 weeks and 12 months, by the local date, the first backup each; the rest may go. The settings
// `daily`, `weekly` and `monthly` say otherwise.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "retention.h"

// Enough for every reason.
#define WHY_SIZE 64

typedef exports_retention_backup_t backup_t;

typedef struct {
  const char *key;
  int64_t keep;
  // The number of the period that a backup falls into; later periods have greater numbers.
  int64_t (*period)(const backup_t *);
  // The oldest of the newest periods that are kept, and the last one that has its backup.
  int64_t oldest;
  int64_t last;
} rule_t;

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static int64_t day(const backup_t *backup) { return floor_div(backup->local, 86400); }

// Day 0, 1970-01-01, was a Thursday; weeks begin on Monday.
static int64_t week(const backup_t *backup) { return floor_div(day(backup) + 3, 7); }

// Months since March of the year 0: years that begin in March have their leap day at the end. By `civil_from_days` of
// Howard Hinnant's "chrono-compatible low-level date algorithms".
static int64_t month(const backup_t *backup) {
  int64_t days = day(backup) + 719468;
  int64_t era = floor_div(days, 146097);
  int64_t day_of_era = days - era * 146097;
  int64_t year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
  return (era * 400 + year) * 12 + (5 * day_of_year + 2) / 153;
}

static const rule_t DEFAULTS[3] = {
    {"daily", 7, day, INT64_MAX, INT64_MIN},
    {"weekly", 4, week, INT64_MAX, INT64_MIN},
    {"monthly", 12, month, INT64_MAX, INT64_MIN},
};

static bool is(const retention_string_t *text, const char *word) {
  return text->len == strlen(word) && memcmp(text->ptr, word, text->len) == 0;
}

// A slip of the pen must not turn a rule off: what is not understood is an error.
static bool read_settings(const exports_retention_list_field_t *settings, rule_t rules[3], retention_string_t *err) {
  char message[900];
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

static bool counts(const backup_t *backup, int64_t now) {
  return !backup->held && backup->created <= now && backup->complete;
}

static void find_oldest(rule_t *rule, const exports_retention_list_backup_t *backups, int64_t now) {
  int64_t seen = 0;
  for (size_t i = backups->len; i-- > 0 && seen < rule->keep;) {
    const backup_t *backup = &backups->ptr[i];
    if (!counts(backup, now) || rule->period(backup) >= rule->oldest) continue;
    rule->oldest = rule->period(backup);
    seen += 1;
  }
}

// Called with the oldest backup first, so that the first of a period comes first. Leaves `why` empty when nothing keeps
// it.
static void why_kept(const backup_t *backup, int64_t now, int64_t newest, rule_t rules[3], char why[WHY_SIZE]) {
  const char *other = backup->held               ? "it is held"
                      : backup->created > now    ? "it is dated after now"
                      : backup->complete         ? NULL
                      : backup->created > newest ? "nothing complete is newer"
                                                 : "";
  strcpy(why, other ? other : "");
  for (int r = 0; other == NULL && r < 3; r++) {
    int64_t period = rules[r].period(backup);
    if (period < rules[r].oldest || period <= rules[r].last) continue;
    rules[r].last = period;
    if (why[0]) strcat(why, ", ");
    strcat(why, rules[r].key);
  }
}

// The tiers to add to those of the calendar: none.
bool exports_retention_tiers(exports_retention_tiers_question_t *question, exports_retention_tiers_answer_t *answer,
                             retention_string_t *err) {
  (void)err;
  (void)question;
  answer->tiers = (retention_list_string_t){.ptr = NULL, .len = 0};
  retention_string_dup(&answer->reason, "");
  return true;
}

// Which backups may go. False means that no answer was found: everything is kept. What is asked stays: each call has an
// instance of its own.
bool exports_retention_release(exports_retention_release_question_t *question, exports_retention_list_verdict_t *answer,
                               retention_string_t *err) {
  rule_t rules[3];
  if (!read_settings(&question->settings, rules, err)) return false;
  const exports_retention_list_backup_t *backups = &question->backups;
  int64_t newest = INT64_MIN;
  for (int r = 0; r < 3; r++) find_oldest(&rules[r], backups, question->now);
  for (size_t i = 0; i < backups->len; i++) {
    if (counts(&backups->ptr[i], question->now)) newest = backups->ptr[i].created;
  }
  answer->len = backups->len;
  answer->ptr = calloc(backups->len ? backups->len : 1, sizeof *answer->ptr);
  if (answer->ptr == NULL) abort();
  size_t kept = 0;
  for (size_t i = 0; i < backups->len; i++) {
    char why[WHY_SIZE];
    why_kept(&backups->ptr[i], question->now, newest, rules, why);
    answer->ptr[i].backup = (uint32_t)i;
    answer->ptr[i].release = why[0] == 0;
    retention_string_dup(&answer->ptr[i].reason, why[0] ? why : "no period needs it");
    kept += why[0] != 0;
  }
  char line[80];
  snprintf(line, sizeof line, "keeps %zu of %zu", kept, backups->len);
  retention_string_t text;
  retention_string_set(&text, line);
  log_write(LOG_SEVERITY_DEBUG, &text);
  return true;
}
