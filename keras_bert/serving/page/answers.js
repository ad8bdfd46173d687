// Answers as a person reads them, by the names that an export gives its outputs.

const MOST_BARS = 8;

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);
const decimal = (number) => (number === null ? "–" : Number.isInteger(number) ? String(number) : number.toFixed(3));

// Places in a text count code points, as Python does; JavaScript counts halves of some.
export const points = (text) => Array.from(text);

export function render(outputs, inputs, version) {
  const names = new Set(Object.keys(outputs));
  const has = (...wanted) => wanted.every((name) => names.has(name));
  const texts = Object.values(inputs)[0];
  if (has("embedding")) return similarity(outputs.embedding, texts);
  if (has("label", "start", "end", "score")) return entities(outputs, texts[0]);
  if (has("text", "start", "end", "no_answer_score")) return span(outputs, inputs.context?.[0] ?? texts[0]);
  if (has("token", "score")) return gaps(outputs, inputs);
  if (has("choice", "probabilities") && inputs.choices) return choices(outputs, inputs.choices[0]);
  if (has("label", "probabilities")) return classes(outputs.label[0], outputs.probabilities[0], version.labels);
  if (has("labels", "probabilities")) return labels(outputs, version.labels);
  if (has("value")) return [make("p", { className: "verdict", textContent: decimal(outputs.value[0]) })];
  return [plain(outputs)];
}

// Shares with a bar each, the largest first; the rest behind a button.
function bars(pairs, best = -1) {
  const list = make("ul", { className: "bars" });
  const items = pairs.map(([name, share], i) => {
    const fill = make("span");
    fill.style.width = `${Math.min(Math.max(share ?? 0, 0), 1) * 100}%`;
    const strong = i === best ? " best" : "";
    return make(
      "li",
      {},
      make("span", { className: `name${strong}`, textContent: name }),
      make("span", { className: "track", ariaHidden: "true" }, fill),
      make("span", { className: `share${strong}`, textContent: percent(share) }),
    );
  });
  list.append(...items.slice(0, MOST_BARS));
  if (items.length <= MOST_BARS) return [list];
  const more = make("button", { type: "button", className: "plain", textContent: `Show all ${items.length}` });
  more.addEventListener("click", () => {
    list.append(...items.slice(MOST_BARS));
    more.remove();
  });
  return [list, more];
}

const sorted = (pairs) => [...pairs].sort((a, b) => (b[1] ?? 0) - (a[1] ?? 0));

function classes(label, probabilities, names) {
  const known = names.length === probabilities.length ? names : probabilities.map((_, i) => `class ${i}`);
  const pairs = sorted(probabilities.map((share, i) => [known[i], share]));
  return [make("p", { className: "verdict", textContent: label }), ...bars(pairs, 0)];
}

function labels(outputs, names) {
  const found = outputs.labels[0].filter(Boolean);
  const verdict = found.length ? found.join(", ") : "No label";
  const shares = outputs.probabilities[0];
  const known = names.length === shares.length ? names : shares.map((_, i) => `label ${i}`);
  return [
    make("p", { className: "verdict", textContent: verdict }),
    ...bars(sorted(shares.map((share, i) => [known[i], share]))),
  ];
}

function choices(outputs, texts) {
  const pairs = texts.map((text, i) => [text, outputs.probabilities[0][i] ?? null]);
  return [
    make("p", { className: "verdict", textContent: outputs.choice[0] }),
    ...bars(pairs, outputs.index?.[0] ?? -1),
  ];
}

// A text with some of its parts marked: [{start, end, label, kind}], in order, not overlapping.
function passage(text, parts) {
  const characters = points(text);
  const between = (start, end) => characters.slice(start, end).join("");
  const block = make("div", { className: "passage", tabIndex: -1 });
  let done = 0;
  for (const { start, end, label, kind } of parts) {
    if (start < done || end > characters.length || start >= end) continue;
    const mark = make("mark", { className: `c${kind % 8}` }, between(start, end));
    if (label) mark.append(make("small", { textContent: label }));
    block.append(between(done, start), mark);
    done = end;
  }
  block.append(between(done, characters.length));
  return block;
}

function table(heads, rows, caption = "") {
  const cell = (value, tag) => {
    const isNumber = typeof value === "number" || value === null;
    return make(tag, { className: isNumber ? "number" : "text", textContent: isNumber ? decimal(value) : value });
  };
  const head = make("tr", {}, ...heads.map((name, i) => {
    const isNumber = rows.length > 0 && typeof rows[0][i] === "number";
    return make("th", { scope: "col", className: isNumber ? "number" : "", textContent: name });
  }));
  const body = rows.map((row) => make("tr", {}, ...row.map((value) => cell(value, "td"))));
  const whole = make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
  if (caption) whole.prepend(make("caption", { textContent: caption }));
  return make("div", { className: "scrolling" }, whole);
}

function entities(outputs, text) {
  const found = outputs.label[0]
    .map((label, i) => ({ label, start: outputs.start[0][i], end: outputs.end[0][i], score: outputs.score[0][i] }))
    .filter(({ label, start }) => label && start >= 0);
  const kinds = [...new Set(found.map(({ label }) => label))].sort();
  const parts = found.map((part) => ({ ...part, kind: kinds.indexOf(part.label) }));
  const characters = points(text);
  const rows = found.map(({ label, start, end, score }) => [characters.slice(start, end).join(""), label, start, end, score]);
  const nothing = make("p", { className: "aside", textContent: "No entity found." });
  return [passage(text, parts), found.length ? table(["text", "label", "start", "end", "score"], rows) : nothing];
}

function span(outputs, context) {
  const [text, start, end] = [outputs.text[0], outputs.start[0], outputs.end[0]];
  const verdict = make("p", { className: "verdict", textContent: text || "No answer in this text" });
  const parts = text ? [{ start, end, label: "", kind: 0 }] : [];
  const facts = `score ${decimal(outputs.score[0])}, no answer ${decimal(outputs.no_answer_score[0])}`;
  const shown = [verdict, passage(context, parts), make("p", { className: "aside", textContent: facts })];
  const others = (outputs.n_best_text?.[0] ?? []).map((other, i) => [
    other || "(no answer)",
    outputs.n_best_probability?.[0][i] ?? null,
  ]);
  return others.length > 1 ? [...shown, make("h3", { textContent: "Best answers" }), ...bars(others)] : shown;
}

function gaps(outputs, inputs) {
  const texts = Object.values(inputs).map((column) => column[0]);
  const found = outputs.token[0].map((words, i) => [words, outputs.score[0][i]]).filter(([words]) => words[0]);
  if (!found.length) return [make("p", { className: "aside", textContent: "There is no [MASK] in the text." })];
  const masks = texts.map((text) => text.split(/(\[MASK\]|<mask>)/));
  let gap = 0;
  const blocks = masks.map((pieces) => {
    const block = make("div", { className: "passage" });
    for (const piece of pieces) {
      const isGap = piece === "[MASK]" || piece === "<mask>";
      block.append(isGap && found[gap] ? make("mark", { textContent: found[gap++][0][0] }) : piece);
    }
    return block;
  });
  const lists = found.flatMap(([words, scores], i) => [
    make("h3", { textContent: `Gap ${i + 1}` }),
    ...bars(words.map((word, j) => [word, scores[j]])),
  ]);
  return [...blocks, ...lists];
}

function cosine(a, b) {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return aa && bb ? dot / Math.sqrt(aa * bb) : 0;
}

function similarity(vectors, texts) {
  if (texts.length === 1) {
    const size = vectors[0].length;
    return [make("p", { className: "aside", textContent: `One embedding of ${size} numbers. Type a second line to compare.` })];
  }
  const head = make("tr", {}, make("td"), ...texts.map((_, i) => make("th", { scope: "col", className: "number", textContent: String(i + 1) })));
  const rows = texts.map((text, i) => {
    const values = vectors.map((vector, j) => (i === j ? null : cosine(vectors[i], vector)));
    const best = Math.max(...values.filter((value) => value !== null));
    const cells = values.map((value) => make("td", { className: `number${value === best ? " near" : ""}`, textContent: decimal(value) }));
    return make("tr", {}, make("th", { scope: "row", textContent: `${i + 1}  ${text}` }), ...cells);
  });
  const whole = make(
    "table",
    {},
    make("caption", { textContent: "Cosine similarity of the lines; the nearest to each is marked." }),
    make("thead", {}, head),
    make("tbody", {}, ...rows),
  );
  return [make("div", { className: "scrolling" }, whole)];
}

function plain(outputs) {
  const rows = Object.entries(outputs).map(([name, value]) => [name, JSON.stringify(value?.[0] ?? value)]);
  return table(["output", "value"], rows);
}
