// What an inspection found: numbers for each character of the text, and what can be colored.

const look = JSON.parse(byId("look").textContent);
const STEPS_PER_BIT = 16;
const NOT_PREDICTED = 255;
const NUM_GUESSES = look.arrays.guesses.shape[1];

const bytes = fromBase64(byId("numbers").textContent);
byId("numbers").remove(); // its text would stay in memory

function arrayOf(name) {
  if (!(name in look.arrays)) return null;
  const { dtype, shape, start } = look.arrays[name];
  const count = shape.reduce((product, size) => product * size, 1);
  return new ARRAYS[dtype](bytes.buffer, bytes.byteOffset + start, count);
}

const characters = look.vocabulary.map((code) => String.fromCodePoint(code));
const ids = arrayOf("ids");
const surprise = arrayOf("surprise");
const ngramSurprise = arrayOf("ngram_surprise"); // null without n-grams
const guesses = arrayOf("guesses");
const shares = arrayOf("shares");
const activations = arrayOf("activations");

// Return what stands at a place, as it is shown in the text: an end is a new line.
function shownAt(place) {
  const character = characters[ids[place]];
  return character === look.end ? "\n" : character;
}

function nameOfId(id) {
  return characters[id] === look.end ? "end" : nameOf(characters[id]);
}

// Return the activations of the unit with an index, from -127 to 127.
function activationsOf(unit) {
  return activations.subarray(unit * ids.length, (unit + 1) * ids.length);
}

// Return the bits of quantized surprise; null where nothing was predicted.
function bitsAt(values, place) {
  return values[place] === NOT_PREDICTED ? null : values[place] / STEPS_PER_BIT;
}

// Return the ways to color the text. Each has a value for a place, or null; the step between two
// shades; and whether it has two directions.
function colorings() {
  const bits = (name, label, value) => ({ name, label, value, step: 1, isSigned: false, unit: null });
  const all = [bits("surprise", "surprise", (place) => bitsAt(surprise, place))];
  if (ngramSurprise) {
    const saved = (place) => {
      const [own, counted] = [bitsAt(surprise, place), bitsAt(ngramSurprise, place)];
      return own === null ? null : counted - own;
    };
    all.push(bits("ngrams", "surprise of n-grams alone", (place) => bitsAt(ngramSurprise, place)));
    const difference = bits("saved", "bits saved against n-grams alone", saved);
    all.push({ ...difference, step: 0.5, isSigned: true });
  }
  look.units.forEach((name, unit) => {
    const values = activationsOf(unit);
    const value = (place) => values[place] / 127;
    all.push({ name, label: labelOf(name), value, step: 1 / 8, isSigned: true, unit });
  });
  return all;
}

// Return the name of a unit, and what it is known for.
function labelOf(name) {
  const known = knownFor(name);
  return known ? `${name} · ${known}` : name;
}

function knownFor(name) {
  const isIt = ({ layer, unit, part }) => `${layer}:${unit}:${part}` === name;
  const features = look.found.filter(isIt).map(({ feature }) => feature);
  if (features.length) return features.join(", ");
  const slow = look.slowest.find(isIt);
  return slow ? `slow, ${slow.characters} characters` : "";
}
