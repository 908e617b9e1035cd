// Sends every alert as JSON to one address. The setting `url` says which; the secret `token` goes along.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert_sink.h"

typedef alert_sink_string_t text_t;

// A text that grows. What is asked and sent stays: each call has an instance of its own.
typedef struct {
  char *ptr;
  size_t len, room;
} buffer_t;

static void put(buffer_t *out, const void *bytes, size_t len) {
  if (out->len + len > out->room) {
    out->room = 2 * (out->len + len);
    out->ptr = realloc(out->ptr, out->room);
    if (out->ptr == NULL) abort();
  }
  memcpy(out->ptr + out->len, bytes, len);
  out->len += len;
}

static void put_word(buffer_t *out, const char *word) { put(out, word, strlen(word)); }

// As JSON has it: RFC 8259, section 7.
static void put_quoted(buffer_t *out, const text_t *text) {
  put_word(out, "\"");
  for (size_t i = 0; i < text->len; i++) {
    uint8_t byte = text->ptr[i];
    char escaped[8];
    if (byte == '"' || byte == '\\') put_word(out, "\\");
    if (byte < 0x20) {
      snprintf(escaped, sizeof escaped, "\\u%04x", byte);
      put_word(out, escaped);
    } else {
      put(out, &byte, 1);
    }
  }
  put_word(out, "\"");
}

static void put_value(buffer_t *out, const backstop_value_t *value) {
  char number[40];
  switch (value->tag) {
    case BACKSTOP_VALUE_TEXT: put_quoted(out, &value->val.text); break;
    case BACKSTOP_VALUE_WHOLE:
      snprintf(number, sizeof number, "%lld", (long long)value->val.whole);
      put_word(out, number);
      break;
    case BACKSTOP_VALUE_REAL:
      snprintf(number, sizeof number, "%.17g", value->val.real);
      put_word(out, number);
      break;
    case BACKSTOP_VALUE_TRUTH: put_word(out, value->val.truth ? "true" : "false"); break;
    case BACKSTOP_VALUE_TEXTS:
      put_word(out, "[");
      for (size_t i = 0; i < value->val.texts.len; i++) {
        if (i > 0) put_word(out, ",");
        put_quoted(out, &value->val.texts.ptr[i]);
      }
      put_word(out, "]");
      break;
    default:
      put_word(out, "[");
      for (size_t i = 0; i < value->val.wholes.len; i++) {
        snprintf(number, sizeof number, "%s%lld", i > 0 ? "," : "", (long long)value->val.wholes.ptr[i]);
        put_word(out, number);
      }
      put_word(out, "]");
  }
}

static void put_text(buffer_t *out, const char *key, const text_t *text) {
  put_word(out, key);
  put_quoted(out, text);
}

static text_t body_of(const exports_alert_alert_t *alert) {
  static const char *const SEVERITIES[3] = {"info", "warning", "critical"};
  buffer_t out = {NULL, 0, 0};
  put_text(&out, "{\"id\":", &alert->id);
  put_word(&out, ",\"severity\":\"");
  put_word(&out, SEVERITIES[alert->severity]);
  put_text(&out, "\",\"title\":", &alert->title);
  put_text(&out, ",\"text\":", &alert->text);
  if (alert->workload.is_some) put_text(&out, ",\"workload\":", &alert->workload.val);
  put_word(&out, alert->recovered ? ",\"recovered\":true" : ",\"recovered\":false");
  for (size_t i = 0; i < alert->facts.len; i++) {
    put_text(&out, i == 0 ? ",\"facts\":{" : ",", &alert->facts.ptr[i].key);
    put_word(&out, ":");
    put_value(&out, &alert->facts.ptr[i].value);
  }
  put_word(&out, alert->facts.len > 0 ? "}}" : ",\"facts\":{}}");
  return (text_t){(uint8_t *)out.ptr, out.len};
}

static bool never(exports_alert_failure_t *failure, const char *why) {
  failure->tag = EXPORTS_ALERT_FAILURE_NEVER;
  alert_sink_string_dup(&failure->val.never, why);
  return false;
}

static bool again(exports_alert_failure_t *failure, alert_sink_option_u32_t after, const char *why) {
  failure->tag = EXPORTS_ALERT_FAILURE_AGAIN;
  failure->val.again.after = after;
  alert_sink_string_dup(&failure->val.again.why, why);
  return false;
}

// Settings that are wrong stay wrong: `never`, so that the fallback takes over.
static bool read_settings(const exports_alert_list_field_t *settings, text_t *url, exports_alert_failure_t *failure) {
  char message[900];
  url->ptr = NULL;
  for (size_t i = 0; i < settings->len; i++) {
    const backstop_field_t *field = &settings->ptr[i];
    if (field->key.len != 3 || memcmp(field->key.ptr, "url", 3) != 0) {
      snprintf(message, sizeof message, "setting `%.*s` is not known: there is url", (int)field->key.len,
               (const char *)field->key.ptr);
      return never(failure, message);
    }
    if (field->value.tag == BACKSTOP_VALUE_TEXT) *url = field->value.val.text;
  }
  return url->ptr != NULL || never(failure, "setting `url` wants a text: write `url = \"https://…\"`");
}

static http_part_t text(const char *word) {
  return (http_part_t){.tag = HTTP_PART_TEXT, .val.text = {(uint8_t *)word, strlen(word)}};
}

// False says whether to try again. What may pass by itself is tried again; anything else will be refused again.
bool exports_alert_deliver(exports_alert_question_t *question, exports_alert_receipt_t *receipt,
                           exports_alert_failure_t *failure) {
  http_part_t url = {.tag = HTTP_PART_TEXT};
  if (!read_settings(&question->settings, &url.val.text, failure)) return false;
  // Backstop puts the secret in; the policy never sees it.
  http_part_t bearer[2] = {text("Bearer "), {.tag = HTTP_PART_SECRET, .val.secret = {(uint8_t *)"token", 5}}};
  http_part_t json = text("application/json");
  http_part_t body = {.tag = HTTP_PART_TEXT, .val.text = body_of(&question->alert)};
  http_header_t headers[2] = {{{(uint8_t *)"authorization", 13}, {bearer, 2}}, {{(uint8_t *)"content-type", 12}, {&json, 1}}};
  http_request_t request = {{(uint8_t *)"POST", 4}, {&url, 1}, {headers, 2}, {&body, 1}, 10000};
  http_response_t response;
  http_failure_t broken;
  char why[4000];
  alert_sink_option_u32_t whenever = {.is_some = false};
  if (!http_send(&request, &response, &broken)) {
    snprintf(why, sizeof why, "%.*s", (int)broken.message.len, (const char *)broken.message.ptr);
    bool passes = broken.kind == HTTP_FAILURE_KIND_UNREACHABLE || broken.kind == HTTP_FAILURE_KIND_TIMED_OUT;
    return passes ? again(failure, whenever, why) : never(failure, why);
  }
  if (response.status >= 200 && response.status < 300) {
    alert_sink_string_dup(&receipt->id, "");
    alert_sink_string_dup(&receipt->note, "");
    return true;
  }
  // Only what prints: a text must be UTF-8, and a cut-off character is not.
  size_t shown = response.body.len < 200 ? response.body.len : 200;
  for (size_t i = 0; i < shown; i++) {
    if (response.body.ptr[i] < 0x20 || response.body.ptr[i] > 0x7e) response.body.ptr[i] = '?';
  }
  snprintf(why, sizeof why, "the receiver answered %d: %.*s", response.status, (int)shown,
           (const char *)response.body.ptr);
  bool passes = response.status == 408 || response.status == 425 || response.status == 429 || response.status >= 500;
  return passes ? again(failure, response.retry_after, why) : never(failure, why);
}
