// The rivals of a character: what else the model could have written there.

let chosen = -1; // place of the character whose rivals are shown

// Go on with a rival in the place of a character.
function branch(place, id) {
  stop();
  const choices = new Map([...writer.choices].filter(([each]) => each < place));
  choices.set(place, id);
  writer.choices = choices;
  const state = Math.floor(place / SAVE_EVERY);
  writer.restore(saved[state]);
  saved.length = state + 1;
  cells.length = state * SAVE_EVERY;
  items = cells.filter((cell) => cell.isLast).length;
  const [first] = byId("text").querySelectorAll(`[data-place="${cells.length}"]`);
  while (first.nextSibling) first.nextSibling.remove();
  if (model.items && first.previousSibling?.className === "prime") first.previousSibling.remove();
  first.remove();
  if (cells.length) shadeCluster(cells.length - 1);
  writeAddress();
  run();
}

function showRivals(place) {
  const cell = cells[place];
  if (timer !== null || !cell || cell.id === null) return;
  closeRivals();
  chosen = place;
  const span = byId("text").querySelector(`[data-place="${place}"]`);
  span.classList.add("at");
  span.scrollIntoView({ block: "nearest" });
  const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`;
  const shown = (id) => (id === writer.end ? "end" : nameOf(writer.characters[id]));
  byId("place").textContent =
    `“${shown(cell.id)}” had ${percent(cell.share)}, ${cell.bits.toFixed(1)} bits. Go on with:`;
  const rows = cell.rivals.map(({ id, share }) => {
    const [row, button] = [document.createElement("li"), document.createElement("button")];
    const [name, amount] = [document.createElement("b"), document.createElement("small")];
    name.textContent = shown(id);
    amount.textContent = percent(share);
    button.type = "button";
    button.style.setProperty("--share", percent(share));
    if (id === cell.id) button.setAttribute("aria-current", "true");
    button.append(name, amount);
    button.addEventListener("click", () => branch(place, id));
    row.append(button);
    return row;
  });
  byId("choices").replaceChildren(...rows);
  byId("rivals").hidden = false;
}

function closeRivals() {
  byId("rivals").hidden = true;
  for (const span of byId("text").querySelectorAll(".at")) span.classList.remove("at");
}

function onKey(event) {
  if (event.key === "Escape") {
    closeRivals();
    byId("text").focus();
    return;
  }
  if (event.target !== byId("text") || event.ctrlKey || event.metaKey || event.altKey) return;
  const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (move) {
    event.preventDefault();
    showRivals(Math.min(Math.max(chosen + move, 0), cells.length - 1));
  } else if (event.key === "Enter") {
    byId("choices").querySelector("button")?.focus();
  }
}
