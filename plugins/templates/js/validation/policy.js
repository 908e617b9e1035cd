// What cannot be taken back needs a reason, and a restore in place another person. The settings `verbs` and `least` say
// which requests need a reason, and how long it must be.
import log from "backstop:policy/log@1.0.0";

export const validationRules = {
  // What is to be said about a request; nothing accepts it. A thrown text refuses it.
  check({ settings, request }) {
    const { verbs, least } = readSettings(settings);
    const findings = [];
    if (request.scheduled) return findings;
    if (verbs.includes(request.verb) && [...request.reason].length < least) {
      findings.push({
        outcome: "deny",
        message: `\`${request.verb}\` wants a reason of at least ${least} characters: say why with \`--reason\``,
        field: "reason",
      });
    }
    if (request.verb === "restore" && request.fields.some(({ key, value }) => key === "in-place" && value.val === true)) {
      findings.push({
        outcome: "ask-approval",
        message: "a restore in place replaces what stands there: another person must approve",
        field: "in-place",
      });
    }
    log.write("debug", `${findings.length} findings about ${request.verb}`);
    return findings;
  },
};

// A slip of the pen must not turn a rule off: what is not understood is an error.
function readSettings(settings) {
  let verbs = ["delete", "disable"];
  let least = 10;
  for (const { key, value } of settings) {
    if (key === "verbs") {
      if (value.tag !== "texts") throw "setting `verbs` wants a list of texts";
      verbs = value.val;
    } else if (key === "least") {
      if (value.tag !== "whole" || value.val < 0 || value.val > 200) {
        throw "setting `least` wants a whole number from 0 to 200";
      }
      least = value.val;
    } else {
      throw `setting \`${key}\` is not known: there are verbs, least`;
    }
  }
  return { verbs, least };
}
