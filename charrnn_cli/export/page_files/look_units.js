// Units that are on in a passage and off elsewhere.

const MOST_LISTED = 6;
const LEAST_DIFFERENCE = 0.5; // standard deviations

const sums = look.units.map((_, unit) => sumsOf(activationsOf(unit), 0, ids.length));

function sumsOf(values, from, to) {
  let [sum, squares] = [0, 0];
  for (let place = from; place < to; place++) {
    sum += values[place];
    squares += values[place] ** 2;
  }
  return { sum, squares };
}

// Return the units whose mean in a passage differs most from that elsewhere, in their deviations.
function unitsOf(from, to) {
  const [inside, outside] = [to - from, ids.length - (to - from)];
  if (!inside || !outside) return [];
  const found = look.units.map((name, unit) => {
    const here = sumsOf(activationsOf(unit), from, to).sum;
    const { sum, squares } = sums[unit];
    const deviation = Math.sqrt(Math.max(0, squares / ids.length - (sum / ids.length) ** 2));
    const [mean, rest] = [here / inside, (sum - here) / outside];
    const difference = deviation > 0 ? Math.abs(mean - rest) / deviation : 0;
    return { name, here: mean / 127, elsewhere: rest / 127, difference };
  });
  found.sort((a, b) => b.difference - a.difference);
  return found.filter(({ difference }) => difference >= LEAST_DIFFERENCE).slice(0, MOST_LISTED);
}

function showPassage(from, to, choose) {
  const title = document.createElement("h3");
  const count = `${(to - from).toLocaleString("en")} character${to - from === 1 ? "" : "s"}`;
  title.textContent = `Units that stand out in this passage (${count})`;
  const found = unitsOf(from, to);
  if (!found.length) {
    const none = document.createElement("p");
    none.className = "quiet";
    none.textContent = "No unit of this page does.";
    byId("passage").replaceChildren(title, none);
    return;
  }
  const [table, head, body] = ["table", "thead", "tbody"].map((each) => document.createElement(each));
  table.className = "numbers";
  head.append(rowOf("th", ["unit", "here", "elsewhere"]));
  for (const { name, here, elsewhere } of found) {
    const row = rowOf("td", [signed(here), signed(elsewhere)]);
    const first = document.createElement("th");
    first.scope = "row";
    first.dataset.unit = name;
    first.append(buttonOf(labelOf(name), () => choose(name)));
    row.prepend(first);
    body.append(row);
  }
  table.append(head, body);
  byId("passage").replaceChildren(title, table);
}

function rowOf(kind, texts) {
  const row = document.createElement("tr");
  for (const text of texts) {
    const cell = document.createElement(kind);
    if (kind === "th") cell.scope = "col";
    cell.textContent = text;
    row.append(cell);
  }
  return row;
}

function buttonOf(text, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", act);
  return button;
}

function hint() {
  const text = document.createElement("p");
  text.className = "quiet";
  text.textContent = "Select a passage to see which units are on in it, and off elsewhere.";
  byId("passage").replaceChildren(text);
}
