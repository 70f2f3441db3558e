// The tags of the captions: how many have them, where they stand, and which are fused with the concept.

import { button, el, fill } from "../shared/dom.mjs";

const ROWS = 300;
const COLUMNS = [
  ["tag", "Tag"],
  ["count", "Captions"],
  ["position", "Place"],
];

/** `filter` is the filter's bar: a click on a tag filters by it. */
export function tagTable(app, book, { filter, rename }) {
  const search = el("input.input.small", { type: "search", placeholder: "Search the tags", "aria-label": "Search the tags", data: { action: "tags-search" } });
  const about = el("select.input.small", { "aria-label": "Tags of", data: { action: "tags-about" } }, [["all", "All captions"], ["shown", "Those shown"], ["selected", "Those selected"]].map(([value, label]) => el("option", { value }, label)));
  about.addEventListener("change", () => ask());
  const said = el("p.help", { "aria-live": "polite", data: { role: "fused" } });
  const problem = el("p.problem", { role: "alert", hidden: true });
  const heads = el("tr");
  const body = el("tbody");
  const more = el("p.help", { hidden: true });
  let order = "count";
  let tags = [];
  let asked = null;
  let known = 0;

  const ask = async () => {
    asked?.abort();
    if (book.opened === null) return;
    asked = new AbortController();
    const { signal } = asked;
    try {
      const ids = about.value === "all" ? {} : { ids: book.ids(about.value) };
      const found = await book.ask("tags", { ...ids, trigger: trigger(), order, most: 2000 }, signal);
      if (signal.aborted) return;
      tags = found.tags;
      known = found.total;
      said.textContent = [`${found.total.toLocaleString("en")} tags in ${found.captions.toLocaleString("en")} captions.`, found.text].filter(Boolean).join(" ");
      problem.hidden = true;
      filter.know(found.tags.map((one) => one.tag));
      draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      problem.textContent = error.message;
      problem.hidden = false;
    }
  };
  const trigger = () => String(app.draft.get("dataset.concepts.0.trigger") ?? "").trim() || book.trigger;

  const draw = () => {
    const words = search.value.trim().toLowerCase();
    const found = tags.filter((one) => one.tag.toLowerCase().includes(words));
    fill(
      heads,
      COLUMNS.map(([name, label]) =>
        el("th", { scope: "col", "aria-sort": order === name ? (name === "count" ? "descending" : "ascending") : "none" }, el("button", { type: "button", onclick: () => sort(name), data: { sort: name } }, label, order === name ? (name === "count" ? " ↓" : " ↑") : "")),
      ),
      el("th", { scope: "col" }, el("span.cap-hidden", {}, "Rename")),
    );
    fill(body, found.slice(0, ROWS).map(row));
    const left = found.length - ROWS;
    const unsent = known - tags.length;
    more.hidden = left <= 0 && unsent <= 0;
    more.textContent = left > 0 ? `${left.toLocaleString("en")} more: search for them.` : `${unsent.toLocaleString("en")} rarer tags are left out.`;
  };

  const row = (one) => {
    const kind = filter.modeOf(one.tag);
    const name = el(
      "button.cap-tagname",
      { type: "button", title: "Filter by it; again: leave it out; again: no filter", "aria-pressed": String(kind !== null), onclick: () => filter.turn(one.tag), data: { tag: one.tag } },
      kind === "none" ? "− " : kind ? "✓ " : "",
      one.tag,
    );
    const also = one.variants?.length ? `Also written ${one.variants.join(", ")}` : null;
    return el(
      "tr",
      {},
      el("td", {}, name, one.fused && el("span.badge.cap-fused", { title: "In all captions: learned with the concept" }, "fused"), also && el("p.help", {}, also)),
      el("td", { title: one.with_trigger === null || one.with_trigger === undefined ? "" : `${Math.round(one.with_trigger * 100)} % of them hold the trigger` }, `${one.count.toLocaleString("en")} · ${percent(one.share)}`),
      el("td", {}, one.position.toFixed(1)),
      el("td", {}, button("✎", () => rename(one.tag), { kind: "icon", "aria-label": `Rename ${one.tag}`, title: "Rename", data: { action: "tags-rename" } })),
    );
  };
  const sort = (name) => {
    order = name;
    ask();
  };
  search.addEventListener("input", draw);

  const node = el(
    "div.cap-body",
    {},
    el("div.cap-bar", {}, about, search),
    said,
    problem,
    el("div.cap-taglist", { tabIndex: 0, role: "region", "aria-label": "Tags" }, el("table.table", {}, el("thead", {}, heads), body)),
    more,
  );
  return { node, ask, draw };
}

function percent(share) {
  const value = share * 100;
  return `${value > 0 && value < 1 ? "<1" : Math.round(value)} %`;
}
