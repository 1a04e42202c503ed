// The guesses in place of a character, and those around it in a strip: darker means likelier.

const COLUMN = 25; // pixels of a column of the strip, at least
const MOST_COLUMNS = 41;

const signed = (value) => value.toFixed(2).replace(/^-(?=0\.00$)/, "").replace("-", "−");
const percent = (share) => `${(100 * share).toFixed(share < 0.095 ? 1 : 0)}%`;

function guessesAt(place) {
  return Array.from({ length: NUM_GUESSES }, (_, rank) => {
    const at = place * NUM_GUESSES + rank;
    return { id: guesses[at], share: shares[at] / 255 };
  });
}

// Say what a character cost, and what was expected in its place.
function showGuesses(place, coloring) {
  const own = bitsAt(surprise, place);
  const said = [`“${nameOfId(ids[place])}”`];
  said.push(own === null ? "was not predicted" : `cost ${own.toFixed(1)} bits`);
  if (own !== null && ngramSurprise) said.push(`(n-grams alone ${bitsAt(ngramSurprise, place).toFixed(1)})`);
  if (coloring.unit !== null) said.push(`· ${coloring.name} is ${signed(coloring.value(place))}`);
  const name = document.createElement("b");
  name.textContent = said[0];
  byId("status").replaceChildren(name, ` ${said.slice(1).join(" ")}`);
  const rows = own === null ? [] : guessesAt(place).map(({ id, share }) => tile(id, share, id === ids[place]));
  byId("guesses").replaceChildren(...rows);
}

function tile(id, share, isIt) {
  const [row, name, amount] = ["li", "b", "small"].map((each) => document.createElement(each));
  name.textContent = nameOfId(id);
  amount.textContent = percent(share);
  row.style.setProperty("--likely", percent(0.75 * share));
  if (isIt) row.setAttribute("aria-current", "true");
  row.append(name, amount);
  return row;
}

// Show the characters around a place, and below each the guesses in its place.
function showStrip(place, coloring) {
  const strip = byId("strip");
  const room = Math.floor(strip.clientWidth / COLUMN);
  const count = Math.min(MOST_COLUMNS, ids.length, Math.max(1, room));
  const first = Math.max(0, Math.min(place - Math.floor(count / 2), ids.length - count));
  strip.style.setProperty("--columns", count);
  const columns = Array.from({ length: count }, (_, column) => columnOf(first + column, coloring));
  columns[place - first].className = "at";
  strip.replaceChildren(...columns);
}

// Return the name of a character in a column, which has room for a letter.
function letterOf(id) {
  const name = nameOfId(id);
  if (name === "end") return "∎";
  return name.startsWith("U+") ? "□" : name;
}

function columnOf(place, coloring) {
  const [column, head] = [document.createElement("div"), document.createElement("b")];
  column.place = place;
  head.textContent = letterOf(ids[place]);
  head.className = shadeOf(coloring.value(place), coloring);
  column.append(head);
  const isPredicted = bitsAt(surprise, place) !== null;
  for (const { id, share } of guessesAt(place)) {
    const cell = document.createElement("i");
    if (isPredicted) {
      cell.textContent = letterOf(id);
      cell.style.setProperty("--likely", percent(0.75 * share));
      if (id === ids[place]) cell.className = "hit";
    }
    column.append(cell);
  }
  return column;
}
