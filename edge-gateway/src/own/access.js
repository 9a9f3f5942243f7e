// The access token: asked for, kept as long as this tab is open, told to whoever wants to know.

import { make, resolve } from "/docs/make.js";

const KEY = "access-token";
const listeners = [];

export const tokenNow = () => sessionStorage.getItem(KEY) || "";

export function setToken(token) {
  sessionStorage.setItem(KEY, token);
  listeners.forEach(listener => listener());
}

export const forgetToken = () => setToken("");

// Called now, and after each change.
export function onToken(listener) {
  listeners.push(listener);
  listener();
}

// A log-in is what takes a password and answers an access token.
export function loginForm(api, form) {
  const login = Object.entries(api.paths).map(([path, { post }]) => {
    const body = resolve(api, post?.requestBody?.content["application/json"]?.schema);
    const answer = resolve(api, post?.responses["200"]?.content?.["application/json"]?.schema);
    return { path, fields: body?.required || [], fits: body?.properties?.password && answer?.properties?.accessToken };
  }).find(candidate => candidate.fits);
  if (!login) return;
  const inputs = login.fields.map(name => make("input", {
    name, required: "", type: name === "password" ? "password" : "text", autocomplete: name === "password" ? "current-password" : "username" }));
  const state = make("span", { role: "status" });
  form.append(...inputs.map(input => make("label", {}, input.name, input)), make("button", { class: "main", type: "submit" }, "Log in"), state);
  form.hidden = false;
  form.addEventListener("submit", async event => {
    event.preventDefault();
    const body = Object.fromEntries(inputs.map(input => [input.name, input.value]));
    const answer = await fetch(login.path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const json = await answer.json();
    state.textContent = answer.ok ? "Logged in." : json.detail || json.title;
    if (answer.ok) setToken(json.accessToken);
  });
}
