// Sends a request as the form says it, and shows it as a curl line and its answer as it came.

import { tokenNow } from "/docs/access.js";
import { code, make, resolve } from "/docs/make.js";

export function tryForm(api, path, method, it) {
  const parameters = (it.parameters || []).map(parameter => resolve(api, parameter));
  const inputs = parameters.map(parameter => ({ parameter, input: parameterInput(api, parameter) }));
  const body = bodyInput(it.requestBody);
  const out = make("div", { "aria-live": "polite" });
  const [send, stop, curl] = [["submit", "main", "Send"], ["button", "stop", "Stop"], ["button", "copy", "Copy as curl"]]
    .map(([type, kind, label]) => make("button", { type, class: kind }, label));
  stop.hidden = true;
  const form = make("form", { class: "try", "aria-label": `Try ${it.summary}` }, make("h4", {}, "Try it"),
    ...inputs.map(({ parameter, input }) => make("label", { class: "field" }, code(parameter.name), input)),
    ...(body ? [make("label", {}, make("span", { class: "hidden" }, "Body"), body)] : []),
    make("div", { class: "buttons" }, send, curl, stop), out);
  const request = () => requestOf(path, method, it, inputs, body);
  curl.addEventListener("click", () => {
    const line = curlLine(request());
    out.replaceChildren(make("pre", {}, line));
    navigator.clipboard?.writeText(line).catch(() => {});
  });
  form.addEventListener("submit", async event => {
    event.preventDefault();
    const controller = new AbortController();
    stop.hidden = false;
    stop.onclick = () => controller.abort();
    await run(request(), controller, out);
    stop.hidden = true;
  });
  return form;
}

function parameterInput(api, parameter) {
  const schema = resolve(api, parameter.schema) || {};
  const wanted = parameter.required ? { required: "" } : {};
  if (schema.enum) {
    return make("select", wanted, make("option", { value: "" }, ""), ...schema.enum.map(value => make("option", {}, value)));
  }
  const hint = parameter.example === undefined ? "" : String(parameter.example);
  return make("input", { placeholder: hint, autocomplete: "off", spellcheck: "false", ...wanted });
}

function bodyInput(requestBody) {
  if (!requestBody) return null;
  const json = requestBody.content["application/json"];
  if (!json) return make("input", { type: "file" });
  const area = make("textarea", { spellcheck: "false" });
  area.value = JSON.stringify(json.example ?? {}, null, 2);
  return area;
}

function requestOf(path, method, it, inputs, body) {
  const headers = {};
  const query = new URLSearchParams();
  let target = path;
  for (const { parameter, input } of inputs) {
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (!input.value) continue;
    else if (parameter.in === "header") headers[parameter.name] = input.value;
    else if (parameter.schema.type === "array") input.value.split(",").forEach(value => query.append(parameter.name, value.trim()));
    else query.append(parameter.name, input.value);
  }
  if (it.security?.length && tokenNow()) headers.authorization = `Bearer ${tokenNow()}`;
  const file = body?.type === "file" ? body.files[0] : null;
  if (body?.value && !file) headers["content-type"] = "application/json";
  if (file) headers["content-type"] = file.type || "application/octet-stream";
  const text = [...query].length ? `${target}?${query}` : target;
  return { url: text, method: method.toUpperCase(), headers, body: file || body?.value || undefined };
}

const quoted = text => `'${String(text).replaceAll("'", "'\\''")}'`;

function curlLine({ url, method, headers, body }) {
  const lines = [`curl -i -X ${method} ${quoted(location.origin + url)}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body instanceof File) lines.push(`--data-binary ${quoted(`@${body.name}`)}`);
  else if (body) lines.push(`-d ${quoted(body)}`);
  return lines.join(" \\\n  ");
}

async function run(request, controller, out) {
  const state = make("p", { role: "status" }, "Sending…");
  const text = make("pre", { tabindex: "0" });
  out.replaceChildren(state, make("pre", {}, curlLine(request)));
  const started = performance.now();
  try {
    const { url, ...init } = request;
    const answer = await fetch(url, { ...init, signal: controller.signal });
    const milliseconds = Math.round(performance.now() - started);
    const status = make("span", { class: answer.ok ? "good" : "bad" }, `${answer.status} ${answer.statusText}`);
    state.replaceChildren(status, ` in ${milliseconds} ms`);
    const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    const shownHeaders = make("details", {}, make("summary", {}, "Headers"), make("pre", {}, headers));
    out.append(shownHeaders, text);
    await showBody(answer, text);
  } catch (error) {
    if (error.name === "AbortError") state.append(" (stopped)");
    else state.replaceChildren(make("span", { class: "bad" }, error.message));
  }
}

// A stream is shown as it comes, JSON with its lines indented.
async function showBody(answer, text) {
  const contentType = answer.headers.get("content-type") || "";
  if (/json/.test(contentType) && !/ndjson/.test(contentType)) {
    text.textContent = JSON.stringify(await answer.json(), null, 2);
  } else if (/^text\/|ndjson/.test(contentType)) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) text.append(read.value);
  } else {
    const bytes = (await answer.blob()).size;
    text.textContent = bytes ? `${bytes} bytes of ${contentType}` : "(no body)";
  }
}
