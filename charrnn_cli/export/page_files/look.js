// The page: what is chosen, by pointer, keys and address.

const ways = colorings();
let coloring = ways[0];
let chosen = 0; // place of the character whose guesses are shown
let width = innerWidth; // of the window
let passage = null; // the places [from, to) that are selected

function color(name) {
  coloring = ways.find((way) => way.name === name) ?? ways[0];
  byId("by").value = coloring.name;
  colorText(coloring);
  showLegend(coloring);
  markButtons();
  choose(chosen, false);
}

function markButtons() {
  for (const head of document.querySelectorAll("[data-unit]"))
    head.querySelector("button").setAttribute("aria-pressed", String(head.dataset.unit === coloring.name));
}

function show(place) {
  showGuesses(place, coloring);
  showStrip(place, coloring);
}

// Choose a character; it is scrolled into view by keys and links.
function choose(place, scrolls = true) {
  spanOfPlace(chosen).classList.remove("at");
  chosen = place;
  const span = spanOfPlace(place);
  span.classList.add("at");
  if (scrolls) scrollTo(span);
  show(place);
  writeAddress();
}

// Scroll the text, and not the page.
function scrollTo(span) {
  span.parentElement.style.contentVisibility = "visible"; // otherwise, its height is a guess
  const [box, place] = [byId("text").getBoundingClientRect(), span.getBoundingClientRect()];
  if (place.top < box.top) byId("text").scrollTop -= box.top - place.top + box.height / 3;
  else if (place.bottom > box.bottom) byId("text").scrollTop += place.bottom - box.bottom + box.height / 3;
}

function writeAddress() {
  const address = new URLSearchParams({ at: chosen, by: coloring.name });
  if (passage) address.set("passage", passage.join("-"));
  history.replaceState(null, "", `#${address}`);
}

function readAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  const place = Number(address.get("at") ?? 20);
  chosen = Math.min(Math.max(Math.trunc(place) || 0, 0), ids.length - 1);
  color(address.get("by") ?? look.first ?? "surprise");
  scrollTo(spanOfPlace(chosen));
  const [from, to] = (address.get("passage") ?? "").split("-").map(Number);
  if (from >= 0 && from < to && to <= ids.length) select(from, to);
  else hint();
}

// Show the units of a passage.
function setPassage(from, to) {
  if (passage && passage[0] === from && passage[1] === to) return;
  passage = [from, to];
  showPassage(from, to, color);
  markButtons();
  writeAddress();
}

// Select a passage of the text.
function select(from, to) {
  setPassage(from, to);
  const last = spanOfPlace(to - 1);
  getSelection().setBaseAndExtent(spanOfPlace(from).firstChild, 0, last.firstChild, last.textContent.length);
}

// Return the place at a point of a selection.
function placeOf(node, offset) {
  const span = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
  if (span.first !== undefined)
    return span.first + Array.from(span.textContent.slice(0, node === span && offset ? undefined : offset)).length;
  const next = node.childNodes[offset];
  if (next) return (next.firstChild?.first !== undefined ? next.firstChild : next).first ?? 0;
  return (spans.findLast((each) => node.contains(each))?.last ?? ids.length - 1) + 1;
}

// Take what is selected in the text, which may end outside of it.
function onSelection() {
  const selection = getSelection();
  const text = byId("text");
  if (selection.isCollapsed || !selection.rangeCount) return;
  const range = selection.getRangeAt(0);
  if (!range.intersectsNode(text)) return;
  const { startContainer: first, startOffset, endContainer: last, endOffset } = range;
  const from = text.contains(first) ? placeOf(first, startOffset) : 0;
  const to = text.contains(last) ? placeOf(last, endOffset) : ids.length;
  if (from < to) setPassage(from, to);
}

function clearPassage() {
  getSelection().removeAllRanges();
  passage = null;
  hint();
  writeAddress();
}

// Return the place a line above or below the chosen one, at the same height of the box after it
// has scrolled by a line.
function placeInLine(direction) {
  const text = byId("text");
  const { left, top, width, height } = spanOfPlace(chosen).getBoundingClientRect();
  const line = parseFloat(getComputedStyle(text).lineHeight) * direction;
  const before = text.scrollTop;
  text.scrollTop += line;
  const y = top + height / 2 + line - (text.scrollTop - before);
  for (let x = left + width / 2; x > text.getBoundingClientRect().left; x -= 8) {
    const place = document.elementFromPoint(x, y)?.first;
    if (place !== undefined) return place;
  }
  return chosen;
}

function onKey(event) {
  if (event.key === "Escape") clearPassage();
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const line = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step && !line) return;
  event.preventDefault();
  const from = chosen;
  const to = line ? placeInLine(line) : Math.min(Math.max(chosen + step, 0), ids.length - 1);
  if (event.shiftKey) extend(from, to);
  else if (passage) clearPassage();
  choose(to);
}

// Move the end of the passage that is at `from`.
function extend(from, to) {
  const [start, end] = passage ?? [from, from + 1];
  const other = from === start && from !== end - 1 ? end - 1 : start;
  select(Math.min(other, to), Math.max(other, to) + 1);
}

// Keep the chosen character in view when lines break elsewhere.
function onResize() {
  if (innerWidth === width) return;
  width = innerWidth;
  scrollTo(spanOfPlace(chosen));
  show(chosen);
}

function listen() {
  const text = byId("text");
  byId("by").addEventListener("change", (event) => color(event.target.value));
  text.addEventListener("pointerover", ({ target, pointerType }) => {
    if (pointerType !== "mouse" || target.first === undefined) return;
    byId("status").setAttribute("aria-live", "off");
    show(target.first);
  });
  text.addEventListener("pointerleave", () => {
    byId("status").setAttribute("aria-live", "polite");
    show(chosen);
  });
  text.addEventListener("click", ({ target }) => {
    if (target.first !== undefined && getSelection().isCollapsed) choose(target.first);
  });
  text.addEventListener("keydown", onKey);
  byId("strip").addEventListener("click", ({ target }) => {
    const { place } = target.place === undefined ? target.parentElement : target;
    if (place !== undefined) choose(place);
  });
  document.addEventListener("selectionchange", onSelection);
  addEventListener("resize", onResize);
  addEventListener("hashchange", readAddress);
}

// Make buttons of the names of units and of the examples in the tables.
function linkTables() {
  for (const head of document.querySelectorAll("th[data-unit], th[data-place]")) {
    const { unit, place } = head.dataset;
    const button = buttonOf("", () => {
      if (unit !== undefined) color(unit);
      else choose(Number(place));
      byId("reading").scrollIntoView({ block: "nearest" });
    });
    button.append(...head.childNodes);
    head.append(button);
  }
}

function load() {
  showText();
  for (const { name, label } of ways) byId("by").add(new Option(label, name));
  linkTables();
  for (const name of ["tools", "panel", "strip"]) byId(name).hidden = false;
  readAddress();
  listen();
}

load();
