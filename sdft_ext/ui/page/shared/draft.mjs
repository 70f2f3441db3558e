// The recipe that is being written: what differs from its start, by path, kept in the browser.
//
// The start are the program's defaults with the settings that are known to work for the loaded model, the kind of concept and the
// method (presets), so that a newcomer who only names his pictures gets those.

const KEPT = "sdft.recipe.1";
const FIRST = "dataset.concepts.0.";
const KIND = `${FIRST}kind`;
const METHOD = "method.name";
const CONCEPT = /^dataset\.concepts\.(\d+)\.(.+)$/;

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export class Draft {
  #values = new Map();
  #defaults = new Map();
  #listeners = new Set();
  #concepts = 1;
  /** Settings whose control holds something that can't be read: path → sentence. */
  invalid = new Map();

  constructor(schema) {
    this.schema = schema;
    this.fields = new Map(schema.sections.flatMap((section) => section.fields).map((field) => [field.path, field]));
    this.#restore();
    this.#start();
  }

  /** Where a recipe for this kind of concept and this method begins. What the user has set stays. */
  #start() {
    const { defaults, presets, thorough } = this.schema;
    const kind = this.#values.get(KIND) ?? at(defaults, KIND);
    const start = new Map([...this.fields].map(([path, field]) => [path, at(defaults, path) ?? field.default]));
    const method = this.#values.get(METHOD) ?? at(defaults, METHOD) ?? this.fields.get(METHOD)?.default;
    const ofKind = presets.filter((one) => one.settings[KIND] === kind);
    const preset = ofKind.find((one) => one.settings[METHOD] === method) ?? ofKind[0];
    const length = thorough.find((one) => one.name === "normal");
    for (const one of [preset, length]) {
      for (const [path, value] of Object.entries(one?.settings ?? {})) if (path !== KIND && path !== METHOD && start.has(path)) start.set(path, value);
    }
    this.#defaults = start;
  }

  /** The field that a path belongs to; all concepts share those of the first. */
  field(path) {
    return this.fields.get(path.replace(CONCEPT, `${FIRST}$2`));
  }

  default(path) {
    const match = CONCEPT.exec(path);
    if (match && match[1] !== "0") return this.field(path)?.default;
    return this.#defaults.get(path);
  }

  get(path) {
    return this.#values.has(path) ? this.#values.get(path) : this.default(path);
  }

  changed(path) {
    return this.#values.has(path) && !same(this.#values.get(path), this.default(path));
  }

  get changes() {
    return [...this.#values.keys()].filter((path) => this.changed(path));
  }

  get concepts() {
    return this.#concepts;
  }

  set(path, value) {
    this.setAll({ [path]: value });
  }

  /** Several settings at once; listeners hear of it once each. */
  setAll(values) {
    const touched = [];
    for (const [path, value] of Object.entries(values)) {
      if (!this.field(path)) continue;
      const number = Number(CONCEPT.exec(path)?.[1] ?? 0);
      if (number >= this.#concepts) this.#concepts = number + 1;
      this.invalid.delete(path);
      if (same(value, this.default(path))) this.#values.delete(path);
      else this.#values.set(path, structuredClone(value));
      touched.push(path);
    }
    this.#settled(touched);
  }

  reset(path) {
    this.invalid.delete(path);
    this.#values.delete(path);
    this.#settled([path]);
  }

  clear() {
    this.#values.clear();
    this.invalid.clear();
    this.#concepts = 1;
    this.#settled([KIND, METHOD]);
  }

  /** Another kind of concept, or another method, begins elsewhere: all settings may show another value then. */
  #settled(paths) {
    if (!paths.includes(KIND) && !paths.includes(METHOD)) return this.#tell(paths);
    this.#start();
    return this.#tell([...new Set([...this.fields.keys(), ...this.#values.keys(), ...paths])]);
  }

  addConcept() {
    this.#concepts += 1;
    this.#tell(null);
  }

  removeConcept(number) {
    const kept = [...this.#values].filter(([path]) => Number(CONCEPT.exec(path)?.[1] ?? -1) !== number);
    this.#values = new Map(
      kept.map(([path, value]) => [
        path.replace(CONCEPT, (_, at_, name) => `dataset.concepts.${at_ > number ? at_ - 1 : at_}.${name}`),
        value,
      ]),
    );
    this.#concepts = Math.max(1, this.#concepts - 1);
    this.#tell(null);
  }

  /** Marks what a control holds as unreadable, or readable again. */
  mark(path, sentence) {
    if (sentence) this.invalid.set(path, sentence);
    else this.invalid.delete(path);
    this.#tell([path]);
  }

  /** The recipe as it is sent: nested, without what has the program's default. */
  nested() {
    const recipe = { dataset: { concepts: Array.from({ length: this.#concepts }, () => ({})) } };
    const paths = new Set([...this.#defaults.keys(), ...this.#values.keys()]);
    for (const path of paths) {
      const value = this.get(path);
      if (!same(value, this.field(path).default)) put(recipe, path, value);
    }
    return recipe;
  }

  /** Takes over a whole recipe, such as a run's. */
  load(recipe) {
    this.#values.clear();
    this.invalid.clear();
    const concepts = recipe.dataset?.concepts ?? [];
    this.#concepts = Math.max(1, concepts.length);
    for (const path of [KIND, METHOD]) this.#values.set(path, at(recipe, path) ?? this.field(path).default);
    this.#start();
    for (const [path, field] of this.fields) {
      const paths = path.startsWith(FIRST)
        ? Array.from({ length: this.#concepts }, (_, i) => path.replace(FIRST, `dataset.concepts.${i}.`))
        : [path];
      for (const one of paths) {
        const value = at(recipe, one) ?? field.default;
        if (!same(value, this.default(one))) this.#values.set(one, structuredClone(value));
      }
    }
    this.#tell(null);
  }

  /** `listener(paths)` hears which settings have changed; null: all of them may have. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(paths) {
    this.#keep();
    for (const listener of [...this.#listeners]) listener(paths);
  }

  #keep() {
    try {
      localStorage.setItem(KEPT, JSON.stringify({ concepts: this.#concepts, values: [...this.#values] }));
    } catch {
      // A browser that keeps nothing forgets the recipe on a reload; all else works.
    }
  }

  #restore() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null");
      if (!kept) return;
      this.#concepts = Math.max(1, Number(kept.concepts) || 1);
      for (const [path, value] of kept.values) if (this.field(path)) this.#values.set(path, value);
    } catch {
      // What an older page has kept can't be read: begin with the defaults.
      this.#values.clear();
    }
  }
}

/** The value at a dotted path, or undefined. */
export function at(nested, path) {
  return path.split(".").reduce((value, name) => value?.[name], nested);
}

function put(nested, path, value) {
  const names = path.split(".");
  const lastName = names.pop();
  let place = nested;
  for (const name of names) place = place[name] ??= {};
  place[lastName] = value;
}
