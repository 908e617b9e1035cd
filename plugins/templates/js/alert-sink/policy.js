// Sends every alert as JSON to one address. The setting `url` says which; the secret `token` goes along.
import http from "backstop:policy/http@1.0.0";

const text = (val) => ({ tag: "text", val });
// Backstop puts it in; the policy never sees it.
const secret = (val) => ({ tag: "secret", val });

export const alertDelivery = {
  // What is thrown says whether to try again: `again` with a wait or without, or `never`.
  deliver({ settings, alert }) {
    const url = readSettings(settings);
    const facts = Object.fromEntries(alert.facts.map(({ key, value }) => [key, value.val]));
    const { id, severity, title, workload, recovered } = alert;
    const body = { id, severity, title, text: alert.text, workload: workload ?? undefined, recovered, facts };
    const response = send({
      method: "POST",
      url: [text(url)],
      headers: [
        { name: "authorization", value: [text("Bearer "), secret("token")] },
        { name: "content-type", value: [text("application/json")] },
      ],
      body: [text(JSON.stringify(body))],
      timeoutMs: 10_000,
    });
    if (response.status >= 200 && response.status < 300) return { id: "", note: "" };
    const why = `the receiver answered ${response.status}: ${String.fromCharCode(...response.body.slice(0, 200))}`;
    // What may pass by itself; anything else will be refused again.
    if ([408, 425, 429].includes(response.status) || response.status >= 500) throw again(why, response.retryAfter);
    throw never(why);
  },
};

const again = (why, after = null) => ({ tag: "again", val: { after, why } });
const never = (why) => ({ tag: "never", val: why });

function send(request) {
  try {
    return http.send(request);
  } catch (failure) {
    const { kind, message } = failure.payload;
    throw kind === "unreachable" || kind === "timed-out" ? again(message) : never(message);
  }
}

// Settings that are wrong stay wrong: `never`, so that the fallback takes over.
function readSettings(settings) {
  const strange = settings.find(({ key }) => key !== "url");
  if (strange) throw never(`setting \`${strange.key}\` is not known: there is url`);
  const url = settings[0]?.value;
  if (url?.tag !== "text") throw never("setting `url` wants a text: write `url = \"https://…\"`");
  return url.val;
}
