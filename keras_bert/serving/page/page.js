// Asks what a person types and shows the answer. Whatever comes from a model or a person is put
// into the page as text, never as markup.
import { render } from "./answers.js";

const at = (id) => document.getElementById(id);
const state = { models: [], model: null, version: null };

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function fail(message) {
  at("answer").replaceChildren(make("p", { className: "failure", textContent: message }));
}

// JSON as the API writes it: NaN and Infinity are no JSON, and become null.
export function parse(text) {
  const token = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;
  return JSON.parse(text.replace(token, (found) => (found[0] === '"' ? found : "null")));
}

async function loadModels() {
  const response = await fetch("models.json", { cache: "no-store" });
  if (!response.ok) throw new Error(`the list of models: HTTP ${response.status}`);
  state.models = (await response.json()).models;
}

function options(select, values, chosen) {
  select.replaceChildren(...values.map(([value, text]) => make("option", { value, textContent: text })));
  if (chosen !== undefined && values.some(([value]) => String(value) === String(chosen))) select.value = chosen;
}

function chooseModel(name) {
  options(at("model"), state.models.map((model) => [model.name, model.name]), name);
  state.model = state.models.find((model) => model.name === at("model").value) ?? null;
  if (!state.model) {
    at("ask").disabled = true;
    fail("There is no model yet. Export one into the folder that is served; then load this page again.");
  }
}

function chooseVersion(number) {
  const usable = (state.model?.versions ?? []).filter((version) => version.state === "AVAILABLE");
  options(at("version"), usable.map(({ version }) => [version, String(version)]), number);
  state.version = usable.find(({ version }) => String(version) === at("version").value) ?? null;
  const failed = (state.model?.versions ?? []).filter((version) => version.message);
  const notes = [state.version?.task ?? ""];
  for (const { version, message } of failed) notes.push(`Version ${version} cannot be served: ${message}`);
  at("task").textContent = notes.filter(Boolean).join(" · ");
  showInputs();
}

const isEmbedding = (version) => "embedding" in version.outputs;
const typed = (name) => at(`input-${name}`).value;

const HINTS = {
  context: "the text that holds the answer",
  choices: "one to a line",
  prompt: "what the choices go on from",
};

function showInputs() {
  const kept = Object.fromEntries([...document.querySelectorAll("#inputs textarea")].map((area) => [area.name, area.value]));
  const version = state.version;
  const usable = version?.inputs?.length > 0 && version.inputs.every((input) => input.dtype === "string");
  at("ask").disabled = !usable;
  if (version && !usable) {
    fail("This version’s serving_default takes no text. Ask it through the API.");
    at("inputs").replaceChildren();
    return;
  }
  at("inputs").replaceChildren(...(version?.inputs ?? []).map((input) => field(input, kept[input.name] ?? "")));
}

function field(input, value) {
  const lines = input.several || isEmbedding(state.version);
  const hint = lines ? "one to a line" : HINTS[input.name] ?? "";
  const area = make("textarea", { id: `input-${input.name}`, name: input.name, value, spellcheck: false, rows: 3 });
  if (lines || input.name === "context" || state.version.inputs.length === 1) area.classList.add("long");
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("form").requestSubmit();
  });
  const name = make("span", { textContent: `${input.name} ` }, make("span", { className: "aside", textContent: hint }));
  return make("label", { className: "field" }, name, area);
}

const linesOf = (text) => text.split("\n").filter((line) => line.trim());

// The columns of one request, and the texts as they were typed.
function request() {
  const inputs = {};
  for (const { name, several } of state.version.inputs) {
    const text = typed(name);
    if (isEmbedding(state.version)) inputs[name] = linesOf(text);
    else inputs[name] = [several ? linesOf(text) : text];
  }
  return inputs;
}

async function ask() {
  const { model, version } = state;
  const inputs = request();
  if (Object.values(inputs).some((column) => column.length === 0 || column[0].length === 0)) {
    fail("Type something first.");
    return;
  }
  const path = `v1/models/${encodeURIComponent(model.name)}/versions/${version.version}:predict`;
  const body = JSON.stringify({ inputs }, null, 1);
  at("ask").disabled = true;
  at("latency").textContent = "";
  const started = performance.now();
  try {
    const response = await fetch(path, { method: "POST", body, headers: { "Content-Type": "application/json" } });
    const text = await response.text();
    const milliseconds = performance.now() - started;
    at("details").hidden = false;
    at("request").textContent = `POST /${path}\n${body}`;
    at("raw").textContent = text;
    show(parse(text), response.ok, inputs);
    if (response.ok) at("latency").textContent = `${milliseconds.toFixed(1)} ms, version ${version.version}`;
  } catch (error) {
    fail(`No answer: ${error.message}`);
  } finally {
    at("ask").disabled = false;
    document.body.dataset.asked = "yes";
  }
  remember();
}

function show(document_, ok, inputs) {
  if (!ok) {
    fail(document_.error ?? "The server gave an error without saying why.");
    return;
  }
  const names = Object.keys(state.version.outputs);
  const outputs = names.length === 1 ? { [names[0]]: document_.outputs } : document_.outputs;
  at("answer").replaceChildren(...render(outputs, inputs, state.version));
}

// The address says what was asked, so that it can be kept or sent.
function remember() {
  const kept = new URLSearchParams({ model: state.model.name });
  for (const { name } of state.version.inputs) kept.set(name, typed(name));
  if (kept.toString().length < 2000) history.replaceState(null, "", `#${kept}`);
}

async function start() {
  const asked = new URLSearchParams(location.hash.slice(1));
  try {
    await loadModels();
  } catch (error) {
    fail(`No answer: ${error.message}`);
    return;
  }
  chooseModel(asked.get("model") ?? undefined);
  chooseVersion(asked.get("version") ?? undefined);
  let complete = Boolean(state.version?.inputs?.length);
  for (const { name } of state.version?.inputs ?? []) {
    if (asked.has(name)) at(`input-${name}`).value = asked.get(name);
    else complete = false;
  }
  if (complete) await ask();
}

at("model").addEventListener("change", async () => {
  const name = at("model").value;
  await loadModels().catch(() => {});
  chooseModel(name);
  chooseVersion();
  at("answer").replaceChildren();
  at("latency").textContent = "";
  if (!at("ask").disabled) at("details").hidden = true;
});
at("version").addEventListener("change", () => chooseVersion(at("version").value));
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!at("ask").disabled) ask();
});
start();
