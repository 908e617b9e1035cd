// A restored tree is healthy when the files named in the setting `files` are there and not empty.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health_check.h"

// A slip of the pen must not turn a check off: what is not understood is an error.
static bool read_settings(const exports_health_list_field_t *settings, health_check_list_string_t *files,
                          health_check_string_t *err) {
  *files = (health_check_list_string_t){.ptr = NULL, .len = 0};
  for (size_t i = 0; i < settings->len; i++) {
    const backstop_field_t *field = &settings->ptr[i];
    if (field->key.len != 5 || memcmp(field->key.ptr, "files", 5) != 0) {
      char message[900];
      snprintf(message, sizeof message, "setting `%.*s` is not known: there is files", (int)field->key.len,
               (const char *)field->key.ptr);
      health_check_string_dup(err, message);
      return false;
    }
    if (field->value.tag != BACKSTOP_VALUE_TEXTS) {
      health_check_string_dup(err, "setting `files` wants a list of texts");
      return false;
    }
    *files = field->value.val.texts;
  }
  if (files->len == 0) {
    health_check_string_dup(err, "setting `files` is missing: write `files = [\"/srv/docs/index.html\"]`");
    return false;
  }
  return true;
}

// Says true when it could not be told.
static bool look(health_check_string_t *path, exports_health_finding_t *finding) {
  probes_option_file_facts_t facts;
  probes_failure_t failure;
  health_check_string_dup_n(&finding->name, (const char *)path->ptr, path->len);
  if (!probes_stat(path, &facts, &failure)) {
    finding->detail = failure.message;
    // What does not answer has failed; what may not be asked, or cannot be, is not known.
    return failure.kind != PROBES_FAILURE_KIND_UNREACHABLE && failure.kind != PROBES_FAILURE_KIND_TIMED_OUT;
  }
  char detail[40] = "nothing stands there";
  if (facts.is_some) snprintf(detail, sizeof detail, "%llu bytes", (unsigned long long)facts.val.size);
  health_check_string_dup(&finding->detail, detail);
  finding->passed = facts.is_some && facts.val.size > 0;
  return false;
}

// False means that it could not be told: unknown, which is not a pass. What is asked stays: each call has an instance of
// its own.
bool exports_health_check(exports_health_question_t *question, exports_health_answer_t *answer,
                          health_check_string_t *err) {
  health_check_list_string_t files;
  if (!read_settings(&question->settings, &files, err)) return false;
  answer->state = EXPORTS_HEALTH_STATE_HEALTHY;
  answer->findings.len = files.len;
  answer->findings.ptr = calloc(files.len, sizeof *answer->findings.ptr);
  if (answer->findings.ptr == NULL) abort();
  for (size_t i = 0; i < files.len; i++) {
    exports_health_finding_t *finding = &answer->findings.ptr[i];
    if (look(&files.ptr[i], finding)) {
      answer->state = EXPORTS_HEALTH_STATE_UNKNOWN;
    } else if (!finding->passed && answer->state == EXPORTS_HEALTH_STATE_HEALTHY) {
      answer->state = EXPORTS_HEALTH_STATE_UNHEALTHY;
    }
  }
  return true;
}
