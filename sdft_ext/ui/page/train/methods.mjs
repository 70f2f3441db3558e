// The chooser of methods: what the guide says of each, beside what was measured, and whether it fits into the free memory.

import { el } from "../shared/dom.mjs";
import { settingField } from "../shared/field.mjs";
import { linkNode } from "../shared/links.mjs";
import { megabytes } from "../shared/numbers.mjs";

/** @import { App, Method, MethodFigures, MethodMemory } from "../types.d.ts" */

const SOURCES = [
  "Guide: what “sd-training-intro” by Guizmus says of real models; some methods came later. ",
  "Here: “96 %, bleeds 2.5 %” are the shares of pictures with and without the trigger that show what was learned. They, time and file were ",
  "measured on the small embedded model, on one processor core (docs/methods.md): a new subject, and a known one, which that model can draw ",
  "by other words. Memory is forecast for your settings and the loaded model (docs/memory.md). More on the methods: ",
];

const NOTHING = "–";

/** @param {App} app */
export function methodCards(app) {
  const cards = app.schema.methods.map((method) => ({ value: method.name, label: method.label, help: method.help, more: values(app, method) }));
  const links = [linkNode({ label: "sd-training-intro", url: "https://github.com/Guizmus/sd-training-intro" })];
  links.push(...app.schema.methods.map(({ source }) => linkNode(source)));
  const tail = el("p.help.method-sources", { data: { role: "method-sources" } }, SOURCES.join(""), links.flatMap((link, at) => (at ? [" · ", link] : [link])));
  return settingField(app, "method.name", { help: "", cards, tail });
}

/** Shows what the guide says of a method, and what holds here. @param {App} app @param {Method} method */
function values(app, method) {
  const fit = el("span", { data: { role: "fit" } }, NOTHING);
  app.whenForecast(fit, (methods) => {
    const { text, level } = fitText(methods[method.name]);
    fit.textContent = text;
    fit.className = `sdft-fit sdft-${level}`;
  });
  const cells = rowsOf(method).flatMap(([label, guide, here]) => [el("span.quiet", {}, label), el("span", {}, guide), el("span", {}, here)]);
  const head = ["", "Guide", "Here"].map((text) => el("span.quiet", {}, text));
  const memory = [el("span.quiet", {}, "Memory"), el("span", {}, method.guide?.memory ?? NOTHING), fit];
  return el("span.method-values", {}, head, cells, memory);
}

/**
 * Lists what is said of a method: label, the guide's value, and what was measured.
 * @param {Pick<Method, "guide" | "measured">} method
 * @returns {[string, string, string][]}
 */
export function rowsOf({ guide, measured }) {
  const { subject, style, known } = measured;
  /** @type {[string, string, string][]} */
  const rows = [
    ["Difficulty", guide?.difficulty ?? NOTHING, NOTHING],
    ["Subjects", guide?.subject ?? NOTHING, learned(subject)],
    ["Styles", guide?.style ?? NOTHING, learned(style)],
  ];
  // What changes no weights can only call up what the model knows.
  if (known) rows.push(["Known subjects", NOTHING, learned(known)]);
  if (subject) rows.push(["Time, file", NOTHING, `${subject.seconds} s, ${subject.file}`]);
  return rows.filter(([, said, here]) => said !== NOTHING || here !== NOTHING);
}

/** @param {MethodFigures | undefined} figures */
function learned(figures) {
  if (!figures) return NOTHING;
  return `${percent(figures.learned)}, bleeds ${percent(figures.bleeding)}`;
}

/** @param {number} share */
const percent = (share) => `${Number((100 * share).toPrecision(2))} %`;

/**
 * Says whether a method fits into the free memory.
 * @param {MethodMemory | undefined} found
 * @returns {{ text: string, level: "good" | "warn" | "bad" | "quiet" }}
 */
export function fitText(found) {
  if (!found) return { text: NOTHING, level: "quiet" };
  const needed = megabytes(found.needed_mb);
  if (found.fits === null) return { text: `${needed}: is close`, level: "warn" };
  return found.fits ? { text: `${needed}: fits`, level: "good" } : { text: `${needed}: doesn't fit`, level: "bad" };
}
