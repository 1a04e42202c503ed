// The text: an element for each cluster of characters, colored by a value.

const BLOCK = 1500; // characters; the browser lays out only the blocks in view

const spans = []; // one for each cluster; `span.first` and `span.last` are its places
const spanAt = new Uint32Array(ids.length); // the index in `spans`, by place

function showText() {
  const blocks = document.createDocumentFragment();
  let block = null;
  let start = 0;
  while (start < ids.length) {
    let cluster = shownAt(start);
    let end = start + 1;
    while (end < ids.length && combines(cluster, end - start, shownAt(end))) cluster += shownAt(end++);
    if (block === null) blocks.append((block = document.createElement("div")));
    block.append(spanOf(cluster, start, end));
    if (cluster === "\n" && end - block.firstChild.first >= BLOCK) block = null;
    start = end;
  }
  byId("text").replaceChildren(blocks);
}

function spanOf(cluster, start, end) {
  const span = document.createElement("span");
  span.textContent = cluster;
  span.first = start;
  span.last = end - 1;
  spanAt.fill(spans.length, start, end);
  spans.push(span);
  return span;
}

function spanOfPlace(place) {
  return spans[spanAt[place]];
}

// Return the class of a value; s is for values above zero, and n for those below.
function shadeOf(value, { step, isSigned }) {
  if (value === null) return "";
  const shade = isSigned ? Math.round(Math.abs(value) / step) : Math.floor(value / step);
  return `${value < 0 ? "n" : "s"}${Math.min(8, shade)}`;
}

// Return the value farthest from zero among the characters of a cluster.
function strongest(coloring, { first, last }) {
  let found = coloring.value(first);
  for (let place = first + 1; place <= last; place++) {
    const value = coloring.value(place);
    if (value !== null && (found === null || Math.abs(value) > Math.abs(found))) found = value;
  }
  return found;
}

function colorText(coloring) {
  for (const span of spans) {
    const kind = shadeOf(strongest(coloring, span), coloring);
    span.className = span.textContent === "\n" ? `${kind} line` : kind;
  }
}

function showLegend({ step, isSigned, unit }) {
  const shades = isSigned ? [-8, -6, -4, -2, 0, 2, 4, 6, 8] : [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const samples = shades.map((shade) => {
    const element = document.createElement("i");
    element.className = `${shade < 0 ? "n" : "s"}${Math.abs(shade)}`;
    const isNamed = unit === null || shade % 8 === 0;
    if (isNamed) element.textContent = String(shade * step).replace("-", "−");
    return element;
  });
  if (unit === null) samples.at(-1).textContent += "+";
  byId("legend").replaceChildren(...samples, unit === null ? " bits" : " activation");
}
