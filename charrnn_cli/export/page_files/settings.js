// The settings of a text, in the form and in the address.

const NUMBERS = { temperature: "temperature", topK: "top-k", topP: "top-p", minP: "min-p" };

const model = JSON.parse(byId("model").textContent);
const defaults = { ...model.defaults, seed: "" };

let used = {}; // what was in the form when the text was begun; someone may type on there

function fields() {
  const names = ["prime", "temperature", "top-k", "top-p", "min-p", "length", "seed"];
  return model.items ? [...names, "items"] : names;
}

function readAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  for (const name of fields()) byId(name).value = address.get(name) ?? defaults[name];
  byId("shade").checked = address.get("shade") === "1";
  showShade();
  return address;
}

function typed() {
  return Object.fromEntries(fields().map((name) => [name, byId(name).value]));
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
  const settings = { prime: byId("prime").value, length: number("length") };
  for (const [name, id] of Object.entries(NUMBERS)) settings[name] = number(id);
  settings.seed = BigInt(byId("seed").value || crypto.getRandomValues(new Uint32Array(1))[0]) & MASK_64;
  return settings;
}

function readChoices(text) {
  const pairs = (text ?? "").split("-").map((pair) => pair.split(".").map(Number));
  const isKnown = ([place, id]) => place >= 0 && id in model.vocabulary;
  return new Map(pairs.filter(isKnown));
}
