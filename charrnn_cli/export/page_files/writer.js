// Writing: the prime, the filters, the draw, and whole items, as charrnn_cli/model does.

const NUM_RIVALS = 8;
const REPLACEMENT = "\ufffd";

class PrimeError extends Error {}

// Return the ids of the `count` largest values, the largest first; ties go to lower ids.
function largest(values, count) {
  const ids = [];
  for (let id = 0; id < values.length; id++) {
    if (ids.length === count && !(values[id] > values[ids[count - 1]])) continue;
    if (ids.length === count) ids.pop();
    let place = ids.length;
    while (place > 0 && values[id] > values[ids[place - 1]]) place--;
    ids.splice(place, 0, id);
  }
  return ids;
}

// Apply temperature, top-k, top-p and min-p in this order; return ids and values, by ascending ids.
function filterLogits(logits, { temperature, topK, topP, minP }) {
  const most = logits.reduce((high, value) => Math.max(high, value), -Infinity);
  if (!Number.isFinite(most)) throw new Error("The model's numbers overflow.");
  let values = Float64Array.from(logits);
  if (temperature !== 0 && temperature !== 1)
    values = values.map((value) => (value - most) / temperature);
  let ids = Array.from(values.keys());
  const count = temperature === 0 ? 1 : topK;
  if (count && count < values.length)
    ids = (count > 64 ? bySize(values, ids).slice(0, count) : largest(values, count)).sort(
      (a, b) => a - b,
    );
  let kept = ids.map((id) => values[id]);
  if (temperature !== 0 && topP < 1) kept = keepTopP(kept, topP);
  if (temperature !== 0 && minP > 0) {
    const limit = kept.reduce((a, b) => Math.max(a, b)) + Math.log(minP);
    kept = kept.map((value) => (value >= limit ? value : -Infinity));
  }
  return { ids, values: kept };
}

function bySize(values, ids) {
  return [...ids].sort((a, b) => values[b] - values[a] || a - b);
}

function keepTopP(values, limit) {
  const most = values.reduce((a, b) => Math.max(a, b));
  const weights = values.map((value) => Math.exp(value - most));
  const total = weights.reduce((a, b) => a + b);
  const kept = values.map(() => -Infinity);
  let sum = 0;
  for (const place of bySize(values, values.keys())) {
    const share = weights[place] / total;
    sum += share;
    if (sum - share >= limit) break;
    kept[place] = values[place];
  }
  return kept;
}

// Draw one of the values by the inverse of the cumulative distribution.
function draw({ ids, values }, uniform) {
  const most = values.reduce((a, b) => Math.max(a, b));
  let total = 0;
  const sums = values.map((value) => (total += Math.exp(value - most)));
  const target = uniform * total;
  // The product may be rounded up to the sum.
  return ids[sums.findIndex((sum) => (target < total ? sum > target : sum >= total))];
}

// Return the surprise of a character in bits, and its likeliest rivals with their shares.
function judged(logits, id) {
  const most = logits.reduce((high, value) => Math.max(high, value), -Infinity);
  let total = 0;
  for (const value of logits) total += Math.exp(value - most);
  const share = (each) => Math.exp(logits[each] - most) / total;
  const rivals = largest(logits, NUM_RIVALS).map((each) => ({ id: each, share: share(each) }));
  return { bits: -Math.log2(share(id)), share: share(id), rivals };
}

// Return a prime as the training text was read.
function asRead(text, { newlines, normalize, replaces_rare: replacesRare }, ids) {
  let read = text;
  if (newlines === "normalize")
    read = read.replaceAll("\r\n", "\n").replaceAll("\r\n", "\n").replaceAll("\r", "\n");
  if (normalize !== "none") read = read.normalize(normalize.toUpperCase());
  const characters = Array.from(read);
  return replacesRare ? characters.map((each) => (ids.has(each) ? each : REPLACEMENT)) : characters;
}

function stripEnds(characters, end, bothSides) {
  let [start, stop] = [0, characters.length];
  if (!bothSides) return characters.slice(characters[0] === end ? 1 : 0);
  while (start < stop && characters[start] === end) start++;
  while (stop > start && characters[stop - 1] === end) stop--;
  return characters.slice(start, stop);
}

// Writes characters one by one. `choices` maps the places of characters to ids that are taken there
// whatever is drawn; the random numbers of other places stay the same.
class Writer {
  constructor(model, network, settings, choices) {
    Object.assign(this, { model, network, settings, choices });
    this.characters = model.vocabulary.map((code) => String.fromCodePoint(code));
    this.ids = new Map(this.characters.map((character, id) => [character, id]));
    this.end = model.end === null ? null : this.ids.get(model.end);
    this.unwritten = model.unwritten === null ? null : this.ids.get(model.unwritten);
    const read = asRead(settings.prime, model.reading, this.ids);
    this.prime = model.end === null ? read : stripEnds(read, model.end, model.items);
    const start = this.prime.length || model.end !== null ? this.prime : [model.default_prime];
    this.unread = this.encode(model.end === null ? start : [model.end, ...start]);
    this.place = 0;
    this.item = 0;
    this.length = 0; // characters of the item after its prime
    this.stream = new Uniforms(settings.seed, 0);
    network.restart();
  }

  encode(characters) {
    const unknown = characters.find((character) => !this.ids.has(character));
    if (unknown !== undefined) {
      const code = unknown.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      throw new PrimeError(`The model does not know “${unknown}” (U+${code}).`);
    }
    if (this.model.items && characters.indexOf(this.model.end, 1) > 0)
      throw new PrimeError("The beginning is more than one item.");
    return characters.map((character) => this.ids.get(character));
  }

  // Read one character of the prime; return whether the next one can be drawn.
  prepare() {
    if (this.unread.length > 1) this.network.read(this.unread.shift());
    if (this.unread.length > 1) return false;
    this.beginning = { network: this.network.save(), unread: this.unread };
    return true;
  }

  // Draw a character. Call `prepare` until it is true before the first.
  next() {
    if (this.unread.length) this.network.read(this.unread[0]);
    const { logits } = this.network;
    const possible = logits.slice();
    if (this.model.items && !this.length && !this.prime.length) possible[this.end] = -Infinity;
    if (this.unwritten !== null) possible[this.unwritten] = -Infinity;
    const drawn = draw(filterLogits(possible, this.settings), this.stream.next());
    const place = this.place++;
    const id = this.choices.get(place) ?? drawn;
    const cell = { id, place, isLast: false, text: this.characters[id], ...judged(logits, id) };
    this.unread = [id];
    if (id === this.end) cell.text = this.model.items ? this.model.between : "\n";
    if (!this.model.items) return cell;
    const isCut = this.length === this.settings.length && id !== this.end;
    if (isCut) Object.assign(cell, { id: null, text: this.model.between, bits: 0 });
    cell.isLast = isCut || id === this.end;
    this.length++;
    if (cell.isLast) this.beginItem(this.item + 1);
    return cell;
  }

  beginItem(number) {
    this.network.restore(this.beginning.network);
    this.unread = this.beginning.unread;
    this.item = number;
    this.length = 0;
    this.stream = new Uniforms(this.settings.seed, number);
  }

  save() {
    const { unread, place, item, length } = this;
    return { unread, place, item, length, stream: this.stream.copy(), state: this.network.save() };
  }

  restore({ state, stream, ...fields }) {
    Object.assign(this, fields, { stream: stream.copy() });
    this.network.restore(state);
  }
}
