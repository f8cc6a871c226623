"use strict";
const given = JSON.parse(document.getElementById("given").textContent);
const { limits, texts } = given;
const language = document.documentElement.lang;
const find = id => document.getElementById(id);
const decimal = new Intl.NumberFormat(language, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
const integer = new Intl.NumberFormat(language);
const percent = new Intl.NumberFormat(language, { style: "percent" });
const write = (text, values) => text.replace(/\{(\w+)\}/g, (name, key) => values[key] ?? name);

let cells = []; // each: its file, its name with the folders, its row in the page, and what was answered
let table = null;
let work = null; // an AbortController while images are classified

// What a person gives: images, folders, a table.

for (const [button, input] of [["choose-images", "files"], ["choose-folder", "folder"], ["choose-table", "table-file"]])
  find(button).addEventListener("click", () => find(input).click());
for (const id of ["files", "folder"])
  find(id).addEventListener("change", event => {
    take([...event.target.files].map(file => ({ file, name: file.webkitRelativePath || file.name })));
    event.target.value = "";
  });
find("table-file").addEventListener("change", event => {
  takeTable(event.target.files[0] ?? null);
  event.target.value = "";
  showPeople();
});
find("person").addEventListener("change", () => {
  takeTable(null);
  showPeople();
});
addEventListener("dragover", event => {
  event.preventDefault();
  find("drop").classList.add("over");
});
addEventListener("dragleave", event => event.relatedTarget || find("drop").classList.remove("over"));
addEventListener("drop", async event => {
  event.preventDefault();
  find("drop").classList.remove("over");
  const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry()).filter(Boolean);
  const before = find("status").textContent;
  find("status").textContent = texts.reading;
  const found = [];
  try {
    for (const entry of entries) await walk(entry, found);
  } catch {
    return fail(texts.gone);
  }
  find("status").textContent = before;
  take(found);
});

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, name: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) { // it gives some entries at a time
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return;
    for (const inner of entries) await walk(inner, found);
  }
}

function takeTable(file) {
  table = file;
  find("table-name").textContent = file ? write(texts.table, { name: file.name }) : "";
  if (file) find("person").value = "";
}

function forgetPeople() {
  takeTable(null);
  find("person").value = "";
}

function take(found) {
  const isHidden = name => /(^|\/)(\.|@eaDir\/|__MACOSX\/)/i.test(name);
  const isImage = name => !isHidden(name) && limits.endings.some(ending => name.toLowerCase().endsWith(ending));
  const images = found.filter(({ name }) => isImage(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const tables = found.filter(({ name }) => /^[^/]*\.csv$/i.test(name));
  if (tables.length === 1) takeTable(tables[0].file);
  if (!images.length && tables.length === 1) return showPeople(); // of the images that are here, or come next
  if (cells.length && tables.length !== 1) forgetPeople(); // what was given for the earlier images
  clear();
  if (!images.length) return fail(texts.none);
  if (images.length > limits.number)
    return fail(write(texts.number, { found: integer.format(images.length) }));
  cells = images;
  classify(found.length - images.length - (tables.length === 1));
}

function clear() {
  work?.abort();
  work = null;
  seen.disconnect();
  waiting.length = 0;
  cells = [];
  for (const id of ["people", "cells"]) {
    find(id).hidden = true;
    find(id).querySelector("tbody").replaceChildren();
  }
  for (const id of ["problem", "status"]) find(id).textContent = "";
  find("work").hidden = true;
}

function fail(text) {
  find("status").textContent = "";
  find("problem").textContent = text;
}

// What the program answers: a request for each batch, so that neither side holds more than one.

async function send(path, parts, signal) {
  const blobs = parts.map(part => (part instanceof Blob ? part : new Blob([part])));
  const body = new Blob([JSON.stringify(blobs.map(blob => blob.size)), "\n", ...blobs]);
  let answer;
  try {
    answer = await fetch(`${path}?language=${language}`, { method: "POST", body, signal });
  } catch (error) {
    throw signal?.aborted ? error : new Error(texts.gone);
  }
  if (answer.ok) return answer;
  let problem = texts.gone;
  try {
    problem = (await answer.json()).problem;
  } catch { /* no sentence came with it */ }
  throw new Error(problem);
}

function* batches() {
  let batch = [], size = 0;
  for (const cell of cells) {
    if (cell.file.size > limits.image) {
      cell.answer = { problem: texts.image };
      continue;
    }
    if (batch.length === limits.batch || size + cell.file.size > limits.request) {
      yield batch;
      [batch, size] = [[], 0];
    }
    batch.push(cell);
    size += cell.file.size;
  }
  if (batch.length) yield batch;
}

async function classify(leftOut) {
  const mine = (work = new AbortController());
  const all = cells.length;
  find("work").hidden = find("cells").hidden = false;
  find("cells-csv").disabled = true; // a part of the images would look like all
  let done = 0, stopped = false, problem = "";
  const show = () => {
    find("progress").value = done / all;
    find("status").textContent = write(texts.at_work, { done: integer.format(done), all: integer.format(all) });
  };
  show();
  try {
    for (const batch of batches()) {
      const rows = await (await send("/cells", batch.map(cell => cell.file), mine.signal)).json();
      rows.forEach((row, k) => (batch[k].answer = row));
      batch.forEach(cell => addRow(cell));
      done += batch.length;
      show();
    }
  } catch (error) {
    if (work !== mine) return; // other images came
    stopped = mine.signal.aborted;
    problem = stopped ? "" : error.message;
  }
  if (work !== mine) return;
  work = null;
  find("work").hidden = true;
  find("cells-csv").disabled = false;
  cells.filter(cell => cell.answer?.problem && !cell.row).forEach(addRow);
  sort();
  if (problem) fail(problem);
  const good = answered(), count = (key, found) => found && write(texts[key], { count: integer.format(found) });
  const summary = stopped
    ? write(texts.stopped, { done: integer.format(done), all: integer.format(all) })
    : write(texts.done, { done: integer.format(good.length),
        positives: integer.format(good.filter(cell => cell.answer.called === given.positive).length) });
  find("status").textContent = [
    summary,
    count("warnings", good.filter(cell => cell.answer.warning).length),
    count("failed", cells.filter(cell => cell.answer?.problem).length),
    count("left_out", leftOut),
  ].filter(Boolean).join(" ");
  await showPeople();
}

find("stop").addEventListener("click", () => work?.abort());
find("clear").addEventListener("click", () => {
  clear();
  forgetPeople();
  find("choose-images").focus();
});
const answered = () => cells.filter(cell => cell.answer && !cell.answer.problem);

// A row for each image.

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function labelled(section, cellsOfRow) {
  const headings = [...find(section).querySelectorAll("thead th")];
  cellsOfRow.forEach((cell, k) => (cell.dataset.label = headings[k].textContent));
  return cellsOfRow;
}

function addRow(cell) {
  const { answer, name } = cell;
  cell.pictures = element("div", { className: "pictures" });
  const head = element("th", { scope: "row" }, cell.pictures, name);
  const problem = answer.problem;
  const columns = [
    head,
    element("td", { className: "probability" }, ...(problem ? [] : probability(answer))),
    element("td", { className: "text" }, ...(problem ? [] : [badge(answer.called)])),
    element("td", {}, ...(answer.spread === null || problem ? [] : [decimal.format(answer.spread)])),
    element("td", { className: "text warning" }, ...(problem || answer.warning ? [
      element("span", problem ? { className: "bad" } : {}, translated(problem || answer.warning))] : [])),
  ];
  if (problem) cell.pictures.remove();
  else seen.observe(cell.pictures);
  pictured.set(cell.pictures, cell);
  cell.row = element("tr", {}, ...labelled("cells", columns));
  find("cells").querySelector("tbody").append(cell.row);
}

function translated(text) {
  for (const [found, instead] of given.phrases) text = text.replace(new RegExp(found, "g"), instead);
  return text;
}

function badge(called) {
  return element("span", { className: called === given.positive ? "badge positive" : "badge" }, called);
}

function probability({ probability, members }) {
  const parts = [element("span", { className: "value" }, decimal.format(probability))];
  if (members.length < 2) return parts;
  const range = { low: decimal.format(Math.min(...members)), high: decimal.format(Math.max(...members)) };
  const strip = element("span", { className: "strip", role: "img", ariaLabel: write(texts.strip, range) });
  for (const [name, values] of [["i", members], ["b", [probability]]])
    for (const value of values) strip.append(element(name)), (strip.lastChild.style.left = `${100 * value}%`);
  return [...parts, strip];
}

const orders = {
  name: () => 0,
  high: (a, b) => b.probability - a.probability,
  low: (a, b) => a.probability - b.probability,
  spread: (a, b) => (b.spread ?? 0) - (a.spread ?? 0),
  warning: (a, b) => Boolean(b.warning) - Boolean(a.warning),
};
function sort() {
  const order = orders[find("sort").value];
  const good = answered().sort((a, b) => order(a.answer, b.answer));
  const bad = cells.filter(cell => cell.answer?.problem);
  find("cells").querySelector("tbody").append(...[...bad, ...good].map(cell => cell.row));
}
find("sort").addEventListener("change", sort);

// Pictures and maps of the rows that are looked at, one after the other.

const pictured = new WeakMap();
const waiting = [];
let drawing = false;
const seen = new IntersectionObserver(entries => {
  for (const { isIntersecting, target } of entries) {
    const cell = pictured.get(target), place = waiting.indexOf(cell);
    if (isIntersecting && place < 0) waiting.push(cell);
    if (!isIntersecting && place >= 0) waiting.splice(place, 1);
  }
  draw();
}, { rootMargin: "300px" });

async function draw() {
  if (drawing) return;
  drawing = true;
  while (waiting.length) {
    const cell = waiting.shift();
    seen.unobserve(cell.pictures);
    try {
      const { image, map } = await (await send("/picture", [cell.file])).json();
      const pictures = [[image, texts.alt], [map, texts.alt_map]].filter(([uri]) => uri);
      cell.pictures.replaceChildren(
        ...pictures.map(([src, alt]) => element("img", { src, alt: write(alt, { name: cell.name }) })));
    } catch (error) {
      cell.pictures.replaceChildren(element("small", {}, `${texts.no_picture}: ${error.message}`));
    }
  }
  drawing = false;
}

// People, and files to keep.

const rowsOf = found => JSON.stringify(found.map(({ name, answer: { probability, spread, warning } }) =>
  ({ file: name, probability, spread, warning })));
const ofPeople = () => table
  ? [rowsOf(answered()), table.name, table]
  : [rowsOf(answered()), find("person").value.trim()];

async function showPeople() {
  const section = find("people");
  section.hidden = true;
  if (work || !answered().length) return;
  if (!table && !find("person").value.trim()) return;
  try {
    const rows = await (await send("/people", ofPeople())).json();
    find("problem").textContent = "";
    section.querySelector("tbody").replaceChildren(...rows.map(row => element("tr", {}, ...labelled("people", [
      element("th", { scope: "row" }, row.subject),
      element("td", {}, integer.format(row.cells)),
      element("td", {}, element("span", { className: "value" }, decimal.format(row.mean))),
      element("td", {}, row.low === null ? "–" : `${decimal.format(row.low)} ${texts.to} ${decimal.format(row.high)}`),
      element("td", {}, percent.format(row.share)),
      element("td", { className: "text" }, badge(row.called)),
      element("td", {}, integer.format(row.warnings)),
    ]))));
    section.hidden = false;
  } catch (error) {
    find("problem").textContent = error.message;
  }
}

for (const [id, path, parts] of [
  ["cells-csv", "/cells.csv", () => [rowsOf(answered())]],
  ["people-csv", "/people.csv", ofPeople],
])
  find(id).addEventListener("click", async () => {
    try {
      const link = element("a", { href: URL.createObjectURL(await (await send(path, parts())).blob()), download: path.slice(1) });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    } catch (error) {
      fail(error.message);
    }
  });
