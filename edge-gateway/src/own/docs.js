// The API browser. Everything of the document is set as text: nothing of it is taken for HTML.

import { forgetToken, loginForm, onToken, setToken, tokenNow } from "/docs/access.js";
import { tryForm } from "/docs/try.js";
import { code, inline, make, prose, resolve, typeOf } from "/docs/make.js";

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];
const content = document.getElementById("content");

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`/openapi.json answered ${answer.status}`);
  show(await answer.json());
} catch (error) {
  document.getElementById("loading").textContent = `The document could not be read: ${error.message}`;
}

function show(api) {
  document.title = `${api.info.title} API reference`;
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  document.getElementById("loading").remove();
  const groups = [...operationGroups(api), schemaGroup(api), problemGroup(api)];
  content.append(introduction(api.info), ...groups.map(each => each.section));
  document.getElementById("contents").append(...groups.map(contents));
  prepareSearch(groups);
  prepareAccess(api);
  if (matchMedia("(max-width: 50rem)").matches) document.querySelector("nav details").open = false;
  addEventListener("hashchange", openTarget);
  openTarget();
}

function introduction(info) {
  return make("section", { "aria-label": "Introduction" },
    make("h1", {}, info.title), make("p", { class: "soft" }, info.summary || ""), ...prose(info.description));
}

function operationGroups(api) {
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    METHODS.filter(method => methods[method]).map(method => ({ path, method, it: methods[method] })));
  return api.tags.map(tag => group(tag.name, tag.description,
    operations.filter(operation => operation.it.tags.includes(tag.name)).map(operation => operationItem(api, operation))));
}

// An item: what the list of contents and the search need, and the element itself, whose inside is made when it is opened.
function item(id, label, words, summary, inside) {
  const element = make("details", { class: "item", id }, make("summary", {}, ...summary));
  element.addEventListener("toggle", () => {
    if (element.open && element.childElementCount === 1) element.append(make("div", { class: "inside" }, ...inside()));
  });
  return { id, label, element, words: words.join(" ").toLowerCase() };
}

function group(title, description, items) {
  const section = make("section", {}, make("h2", {}, title), ...prose(description), ...items.map(each => each.element));
  return { title, items, section };
}

function operationItem(api, { path, method, it }) {
  const summary = [make("span", { class: `method ${method}` }, method.toUpperCase()),
    make("code", { class: it.deprecated ? "path deprecated" : "path" }, path), make("span", { class: "soft" }, ...inline(it.summary))];
  if (it.security?.length) summary.push(make("span", { class: "tag" }, ["token", ...it.security[0].bearer].join(" · ")));
  const label = make("span", {}, make("span", { class: `method ${method}` }, method.toUpperCase()), " ", it.summary);
  return item(it.operationId, label, [path, method, it.operationId, it.summary, it.description], summary, () => [
    ...prose(it.description),
    ...parameterTable(api, it),
    ...requestBody(api, it.requestBody),
    ...answers(api, it.responses),
    tryForm(api, path, method, it),
  ]);
}

function table(headings, rows) {
  const head = make("thead", {}, make("tr", {}, ...headings.map(heading => make("th", { scope: "col" }, heading))));
  const body = rows.map(cells => make("tr", {}, ...cells.map(cell => make("td", {}, ...[cell].flat()))));
  return make("div", { class: "scroll" }, make("table", {}, head, make("tbody", {}, ...body)));
}

function parameterTable(api, it) {
  const parameters = (it.parameters || []).map(parameter => resolve(api, parameter));
  if (!parameters.length) return [];
  const rows = parameters.map(parameter => [
    [code(parameter.name), parameter.required ? " required" : ""], parameter.in, type(parameter.schema), prose(parameter.description)]);
  return [make("h4", {}, "Parameters"), table(["Name", "In", "Type", ""], rows)];
}

function requestBody(api, body) {
  if (!body) return [];
  return [make("h4", {}, "Body"), ...media(api, body.content)];
}

function media(api, content) {
  return Object.entries(content || {}).flatMap(([contentType, { schema, example }]) => [
    make("p", {}, code(contentType), " ", type(schema)),
    ...properties(resolve(api, schema)),
    ...(example === undefined ? [] : [make("pre", {}, JSON.stringify(example, null, 2))]),
  ]);
}

function properties(schema) {
  if (!schema?.properties) return [];
  const rows = Object.entries(schema.properties).map(([name, property]) => {
    const notes = [schema.required?.includes(name) && "required", property.readOnly && "read only", property.writeOnly && "write only",
      property.deprecated && "deprecated"].filter(Boolean);
    return [[code(name), " ", make("span", { class: "soft" }, notes.join(", "))], type(property), prose(property.description)];
  });
  return rows.length ? [table(["Name", "Type", ""], rows)] : [];
}

function answers(api, responses) {
  const all = Object.entries(responses).map(([status, response]) => [status, resolve(api, response)]);
  const rows = all.map(([status, response]) => {
    const kind = status < 400 ? "good" : "bad";
    const headers = Object.keys(response.headers || {}).map(name => code(name)).flatMap(each => [each, " "]);
    return [make("span", { class: kind }, status), reasons(response), headers];
  });
  const success = all.filter(([status]) => status < 300).flatMap(([, response]) => media(api, response.content));
  return [make("h4", {}, "Answers"), table(["Status", "", "Headers"], rows), ...success];
}

function reasons(response) {
  const examples = response.content?.["application/problem+json"]?.examples;
  if (!examples) return prose(response.description);
  return Object.keys(examples).flatMap(reason => [make("a", { href: `#problem-${reason}` }, code(reason)), " "]);
}

// A schema in a few words; what has a name leads to its entry.
function type(schema) {
  const { text, name } = typeOf(schema);
  return name ? make("span", {}, text.before, make("a", { href: `#schema-${name}` }, name), text.after) : make("span", {}, text);
}

function schemaGroup(api) {
  const items = Object.entries(api.components.schemas).map(([name, schema]) =>
    item(`schema-${name}`, name, [name, schema.description || ""], [make("code", { class: "path" }, name),
      make("span", { class: "soft" }, ...inline((schema.description || "").split("\n")[0]))],
    () => [...prose(schema.description), ...properties(schema), ...(schema.enum ? [make("p", {}, schema.enum.join(", "))] : [])]));
  return group("Schemas", "", items);
}

function problemGroup(api) {
  const items = (api["x-reasons"] || []).map(({ reason, code: name, statuses, description, advice }) =>
    item(`problem-${reason}`, reason, [reason, description, name], [make("code", { class: "path" }, reason),
      make("span", { class: "tag" }, statuses.join(", ")), make("span", { class: "soft" }, ...inline(description))],
    () => [...prose(description), make("h4", {}, "What to do"), ...prose(advice), make("p", { class: "soft" }, "gRPC code ", code(name))]));
  return group("Problems", "What `type` and `reason` of an error mean, and what to do.", items);
}

function contents(group) {
  const entries = group.items.map(each => {
    each.entry = make("li", {}, make("a", { href: `#${each.id}` }, each.label));
    return each.entry;
  });
  group.entries = make("section", {}, make("h3", {}, group.title), make("ul", {}, ...entries));
  return group.entries;
}

function prepareSearch(groups) {
  const search = document.getElementById("search");
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { section, entries, items } of groups) {
      for (const each of items) {
        each.element.hidden = each.entry.hidden = !words.every(word => each.words.includes(word));
      }
      section.hidden = entries.hidden = items.every(each => each.element.hidden);
    }
  });
  search.addEventListener("keydown", event => {
    const first = document.querySelector("section:not([hidden]) > details.item:not([hidden])");
    if (event.key === "Enter" && first) location.hash = first.id;
  });
  addEventListener("keydown", event => {
    const typing = event.target.closest?.("input, textarea, select");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
    }
  });
}

// What a link names may be closed, or hidden by a search.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target?.matches("details.item")) return;
  target.hidden = target.parentElement.hidden = false;
  target.open = true;
  target.scrollIntoView();
  target.querySelector("summary").focus({ preventScroll: true });
}

function prepareAccess(api) {
  const [account, access] = ["account", "access"].map(id => document.getElementById(id));
  account.addEventListener("click", () => {
    access.hidden = !access.hidden;
    account.setAttribute("aria-expanded", String(!access.hidden));
    if (!access.hidden) access.querySelector("form:not([hidden]) input").focus();
  });
  loginForm(api, document.getElementById("login"));
  const token = document.getElementById("token");
  document.getElementById("token-form").addEventListener("submit", event => {
    event.preventDefault();
    setToken(token.value.trim());
  });
  document.getElementById("forget").addEventListener("click", forgetToken);
  onToken(() => {
    const has = Boolean(tokenNow());
    token.value = tokenNow();
    account.textContent = has ? "Logged in" : "Log in";
    document.getElementById("access-state").textContent = has ? "Requests are sent with this token." : "Requests are sent without a token.";
  });
}
