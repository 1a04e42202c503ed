// The page: its buttons, and the text as it is written.

const SLICE = 12; // milliseconds of work between two frames
const SAVE_EVERY = 32; // characters between two saved states, from which a rival goes on

let network = null;
let writer = null;
let cells = []; // of the characters after the prime, as `Writer.next` returns them
let saved = []; // states of the writer, by the place of the next character
let wanted = 0; // characters, or items
let items = 0; // that are written
let portion = 0; // characters or items that “Go on” adds
let timer = null;
let started = null; // when, and at how many characters, writing last began

function say(text) {
  byId("status").textContent = text;
}

// Begin a new text.
function begin(choices = new Map()) {
  stop();
  if (!byId("settings").reportValidity()) {
    say("One of the settings is not valid.");
    return;
  }
  try {
    writer = new Writer(model, network, readSettings(), choices);
  } catch (error) {
    if (!(error instanceof PrimeError)) throw error;
    say(error.message);
    byId("prime").focus();
    return;
  }
  used = typed();
  cells = [];
  saved = [];
  items = 0;
  wanted = portion = Number(byId(model.items ? "items" : "length").value);
  byId("text").replaceChildren();
  if (!model.items) showPrime(byId("text"));
  writeAddress();
  run();
}

function showPrime(parent) {
  if (!writer.prime.length) return;
  const prime = document.createElement("span");
  prime.className = "prime";
  prime.textContent = writer.prime.join("");
  parent.append(prime);
}

function run() {
  closeRivals();
  byId("text").setAttribute("aria-live", "off");
  byId("stop").disabled = false;
  byId("more").disabled = true;
  byId("copy").disabled = true;
  started = { at: performance.now(), cells: cells.length };
  timer = setTimeout(work, 0);
}

function isDone() {
  return (model.items ? items : cells.length) >= wanted;
}

// Write for the length of a slice, show it, and come back.
function work() {
  const until = performance.now() + SLICE;
  const fresh = document.createDocumentFragment();
  try {
    while (!isDone() && performance.now() < until) {
      if (!saved.length && !writer.prepare()) continue;
      if (cells.length % SAVE_EVERY === 0) saved[cells.length / SAVE_EVERY] = writer.save();
      const isFirst = !cells.length || cells.at(-1).isLast;
      const cell = writer.next();
      cells.push(cell);
      items += cell.isLast;
      if (model.items && isFirst) showPrime(fresh);
      fresh.append(spanOf(cell));
    }
  } catch (error) {
    stop();
    say(error.message);
    return;
  } finally {
    byId("text").append(fresh);
  }
  if (isDone()) stop();
  else {
    say(cells.length ? `${counted()} …` : "Reading the beginning …");
    timer = setTimeout(work, 0);
  }
}

function spanOf(cell) {
  const span = document.createElement("span");
  span.dataset.place = cell.place;
  span.textContent = cell.text;
  cell.span = span;
  shadeCluster(cell.place);
  return span;
}

// Shade a character and those that are drawn together with it by the most surprising of them.
function shadeCluster(last) {
  let first = last;
  while (first > 0 && last - first < MAX_CLUSTER && combines(cells[first - 1].text, 1, cells[first].text))
    first--;
  const drawn = cells.slice(first, last + 1);
  const bits = Math.min(8, Math.floor(Math.max(...drawn.map((cell) => cell.bits))));
  for (const { span, place } of drawn)
    span.className = `s${bits}${writer.choices.has(place) ? " chosen" : ""}`;
}

function counted() {
  const count = model.items ? items : cells.length;
  const noun = model.items ? "item" : "character";
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function stop() {
  if (timer === null) return;
  clearTimeout(timer);
  timer = null;
  byId("text").setAttribute("aria-live", "polite");
  byId("stop").disabled = true;
  byId("more").disabled = false;
  byId("copy").disabled = false;
  const seconds = (performance.now() - started.at) / 1000;
  const bits = cells.reduce((sum, cell) => sum + cell.bits, 0) / Math.max(1, cells.length);
  const speed = Math.round((cells.length - started.cells) / Math.max(seconds, 0.001));
  const pace = seconds > 0.2 ? `, ${speed.toLocaleString("en")} characters per second` : "";
  say(`${counted()}, ${bits.toFixed(2)} bits per character, seed ${writer.settings.seed}${pace}`);
}

// Write as much again; the address then says so.
function goOn() {
  const name = model.items ? "items" : "length";
  wanted = (model.items ? items : cells.length) + portion;
  byId(name).value = used[name] = String(wanted);
  writeAddress();
  run();
}

function showShade() {
  byId("text").classList.toggle("shaded", byId("shade").checked);
  byId("legend").hidden = !byId("shade").checked;
}

async function copy() {
  try {
    await navigator.clipboard.writeText(byId("text").textContent);
    say("Copied.");
  } catch {
    getSelection().selectAllChildren(byId("text"));
    say("Selected: press Ctrl-C to copy.");
  }
}

function listen() {
  byId("settings").addEventListener("submit", (event) => {
    event.preventDefault();
    begin();
  });
  byId("seed").addEventListener("input", checkSeed);
  byId("stop").addEventListener("click", stop);
  byId("more").addEventListener("click", goOn);
  byId("copy").addEventListener("click", copy);
  byId("close").addEventListener("click", closeRivals);
  byId("shade").addEventListener("change", () => {
    showShade();
    if (writer) writeAddress();
  });
  byId("text").addEventListener("click", (event) => {
    const { place } = event.target.dataset;
    if (place !== undefined && getSelection().isCollapsed) showRivals(Number(place));
  });
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", () => start());
}

function start() {
  const address = readAddress();
  if (address.get("write") === "1") begin(readChoices(address.get("choices")));
}

function load() {
  try {
    network = readNetwork(model, byId("weights").textContent, fromBase64(byId("product").textContent));
  } catch (error) {
    say(`The model cannot be loaded: ${error.message}`);
    return;
  }
  byId("weights").remove(); // its text would stay in memory
  if (model.items) {
    byId("items-label").hidden = byId("items").disabled = false;
    byId("length-label").textContent = "Longest";
  }
  listen();
  say("");
  start();
}

setTimeout(load, 0); // after the page is shown
