// A restored tree is healthy when the files named in the setting `files` are there and not empty.
import probes from "backstop:policy/probes@1.0.0";

export const healthRules = {
  // A thrown text means that it could not be told: `unknown`, which is not a pass.
  check({ settings }) {
    let state = "healthy";
    const findings = readSettings(settings).map((name) => {
      const { passed, detail, unclear } = look(name);
      if (unclear) state = "unknown";
      else if (!passed && state === "healthy") state = "unhealthy";
      return { name, passed, detail };
    });
    return { state, findings };
  },
};

function look(path) {
  try {
    const facts = probes.stat(path);
    if (facts === null) return { passed: false, detail: "nothing stands there" };
    return { passed: facts.size > 0, detail: `${facts.size} bytes` };
  } catch (failure) {
    // What does not answer has failed; what may not be asked, or cannot be, is not known.
    const { kind, message } = failure.payload;
    return { passed: false, detail: message, unclear: kind !== "unreachable" && kind !== "timed-out" };
  }
}

// A slip of the pen must not turn a check off: what is not understood is an error.
function readSettings(settings) {
  const strange = settings.find(({ key }) => key !== "files");
  if (strange) throw `setting \`${strange.key}\` is not known: there is files`;
  const files = settings[0]?.value;
  if (!files || files.val.length === 0) throw 'setting `files` is missing: write `files = ["/srv/docs/index.html"]`';
  if (files.tag !== "texts") throw "setting `files` wants a list of texts";
  return files.val;
}
