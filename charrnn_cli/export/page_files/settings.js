// The settings of a text, in the form and in the address.

const NUMBERS = { temperature: "temperature", topK: "top-k", topP: "top-p", minP: "min-p" };

const model = JSON.parse(byId("model").textContent);
const defaults = { ...model.defaults, seed: "" };

const MAX_SEED = 2n ** 63n - 1n; // as of `charrnn sample`

let given = ""; // the prime of the address; a field turns its "\r\n" into "\n"
let used = {}; // what was in the form when the text was begun; someone may type on there

function fields() {
  const names = ["prime", "temperature", "top-k", "top-p", "min-p", "length", "seed"];
  return model.items ? [...names, "items"] : names;
}

function readAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  for (const name of fields()) byId(name).value = address.get(name) ?? defaults[name];
  given = address.get("prime") ?? defaults.prime;
  checkSeed();
  byId("shade").checked = address.get("shade") === "1";
  showShade();
  return address;
}

function typed() {
  return { ...Object.fromEntries(fields().map((name) => [name, byId(name).value])), prime: prime() };
}

// Return the prime. A new line that is typed is that of the model's text.
function prime() {
  const { value } = byId("prime");
  if (value === given.replace(/\r\n?/g, "\n")) return given;
  const isKept = model.reading.newlines === "keep" && model.vocabulary.includes(13);
  return isKept ? value.replaceAll("\n", "\r\n") : value;
}

function checkSeed() {
  const { value } = byId("seed");
  const isTooLarge = /^[0-9]+$/.test(value) && BigInt(value) > MAX_SEED;
  byId("seed").setCustomValidity(isTooLarge ? `A seed is at most ${MAX_SEED}.` : "");
}

// Write the address of the text that is shown.
function writeAddress() {
  const address = new URLSearchParams();
  for (const [name, value] of Object.entries(used))
    if (value !== String(defaults[name])) address.set(name, value);
  address.set("seed", String(writer.settings.seed));
  const choices = [...writer.choices].map(([place, id]) => `${place}.${id}`);
  if (choices.length) address.set("choices", choices.join("-"));
  if (byId("shade").checked) address.set("shade", "1");
  address.set("write", "1");
  history.replaceState(null, "", `#${address}`);
}

function readSettings() {
  const number = (id) => Number(byId(id).value);
  const settings = { prime: prime(), length: number("length") };
  for (const [name, id] of Object.entries(NUMBERS)) settings[name] = number(id);
  settings.seed = BigInt(byId("seed").value || crypto.getRandomValues(new Uint32Array(1))[0]);
  return settings;
}

function readChoices(text) {
  const pairs = (text ?? "").split("-").map((pair) => pair.split(".").map(Number));
  const isKnown = ([place, id]) => place >= 0 && id in model.vocabulary;
  return new Map(pairs.filter(isKnown));
}
