// What cannot be taken back needs a reason, and a restore in place another person. The settings `verbs` and `least` say
// which requests need a reason, and how long it must be.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "validation.h"

typedef struct {
  validation_list_string_t verbs;
  int64_t least;
} settings_t;

static bool is(const validation_string_t *text, const char *word) {
  return text->len == strlen(word) && memcmp(text->ptr, word, text->len) == 0;
}

static bool equal(const validation_string_t *a, const validation_string_t *b) {
  return a->len == b->len && memcmp(a->ptr, b->ptr, a->len) == 0;
}

// Characters are counted, not bytes: those that go on a character are 10xxxxxx.
static int64_t characters(const validation_string_t *text) {
  int64_t count = 0;
  for (size_t i = 0; i < text->len; i++) count += (text->ptr[i] & 0xc0) != 0x80;
  return count;
}

// A slip of the pen must not turn a rule off: what is not understood is an error.
static bool read_settings(const exports_validation_list_field_t *fields, settings_t *settings,
                          validation_string_t *err) {
  static validation_string_t defaults[2] = {{(uint8_t *)"delete", 6}, {(uint8_t *)"disable", 7}};
  settings->verbs = (validation_list_string_t){defaults, 2};
  settings->least = 10;
  for (size_t i = 0; i < fields->len; i++) {
    const backstop_field_t *field = &fields->ptr[i];
    if (is(&field->key, "verbs")) {
      if (field->value.tag != BACKSTOP_VALUE_TEXTS) {
        validation_string_dup(err, "setting `verbs` wants a list of texts");
        return false;
      }
      settings->verbs = field->value.val.texts;
    } else if (is(&field->key, "least")) {
      if (field->value.tag != BACKSTOP_VALUE_WHOLE || field->value.val.whole < 0 || field->value.val.whole > 200) {
        validation_string_dup(err, "setting `least` wants a whole number from 0 to 200");
        return false;
      }
      settings->least = field->value.val.whole;
    } else {
      char message[900];
      snprintf(message, sizeof message, "setting `%.*s` is not known: there are verbs, least", (int)field->key.len,
               (const char *)field->key.ptr);
      validation_string_dup(err, message);
      return false;
    }
  }
  return true;
}

static void add(exports_validation_list_finding_t *answer, uint8_t outcome, const char *field, const char *message) {
  exports_validation_finding_t *finding = &answer->ptr[answer->len++];
  finding->outcome = outcome;
  validation_string_dup(&finding->message, message);
  finding->field.is_some = true;
  validation_string_dup(&finding->field.val, field);
}

static bool wants_reason(const settings_t *settings, const validation_string_t *verb) {
  for (size_t i = 0; i < settings->verbs.len; i++) {
    if (equal(&settings->verbs.ptr[i], verb)) return true;
  }
  return false;
}

static bool in_place(const exports_validation_list_field_t *fields) {
  for (size_t i = 0; i < fields->len; i++) {
    const backstop_field_t *field = &fields->ptr[i];
    if (is(&field->key, "in-place") && field->value.tag == BACKSTOP_VALUE_TRUTH) return field->value.val.truth;
  }
  return false;
}

// What is to be said about a request; nothing accepts it. False refuses it. What is asked stays: each call has an
// instance of its own.
bool exports_validation_check(exports_validation_question_t *question, exports_validation_list_finding_t *answer,
                              validation_string_t *err) {
  exports_validation_request_t *request = &question->request;
  settings_t settings;
  char message[900];
  if (!read_settings(&question->settings, &settings, err)) return false;
  answer->len = 0;
  answer->ptr = calloc(2, sizeof *answer->ptr);
  if (answer->ptr == NULL) abort();
  if (request->scheduled) return true;
  if (wants_reason(&settings, &request->verb) && characters(&request->reason) < settings.least) {
    snprintf(message, sizeof message, "`%.*s` wants a reason of at least %d characters: say why with `--reason`",
             (int)request->verb.len, (const char *)request->verb.ptr, (int)settings.least);
    add(answer, EXPORTS_VALIDATION_OUTCOME_DENY, "reason", message);
  }
  if (is(&request->verb, "restore") && in_place(&request->fields)) {
    add(answer, EXPORTS_VALIDATION_OUTCOME_ASK_APPROVAL, "in-place",
        "a restore in place replaces what stands there: another person must approve");
  }
  validation_string_t line;
  snprintf(message, sizeof message, "%d findings about %.*s", (int)answer->len, (int)request->verb.len,
           (const char *)request->verb.ptr);
  validation_string_set(&line, message);
  log_write(LOG_SEVERITY_DEBUG, &line);
  return true;
}
