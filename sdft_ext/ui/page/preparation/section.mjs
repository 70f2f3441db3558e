// Prepares a folder's pictures: what would be done, shown on each picture before it is done; originals stay.

import { button, debounced, el, fill, freshId, keyed } from "../shared/dom.mjs";
import { chooseFolder } from "../shared/folders.mjs";
import { count } from "../shared/numbers.mjs";
import { Poll } from "../shared/poll.mjs";
import { CropPicture } from "./crop.mjs";
import { paintMask } from "./mask.mjs";
import { preparationOptions } from "./options.mjs";

const PAGE = 24;
const EVERY = 700;

/** A section of the Dataset panel. */
export function preparationSection(app, panel) {
  const folder = () => String(app.draft.get(panel.path("instance"))).trim();
  const made = preparation(app, folder);
  panel.listen("concept", () => made.look());
  panel.listen("pictures", () => made.look());
  app.whenDraft(made.node, (paths) => {
    if (!paths || paths.some((path) => path === panel.path("instance") || path.startsWith("dataset.bucket") || BUCKETS.has(path))) made.later();
  });
  panel.offer("cut", {
    label: "Move their crops…",
    act() {
      made.open();
      panel.show("preparation");
      return false;
    },
  });
  return { name: "preparation", node: made.node, shown: () => made.look() };
}

const BUCKETS = new Set(["dataset.resolution", "dataset.no_upscale"]);

/** `folder()` names the folder of the originals. */
export function preparation(app, folder) {
  const options = preparationOptions(app, () => fromStart());
  const out = outField(app, () => fromStart());
  const opened = el("details.fold.preparation", { data: { fold: "preparation" } });
  const notes = el("div.stack.tight", { "aria-live": "polite", data: { role: "preparation-notes" } });
  const grid = el("div.preparation-grid", { data: { role: "preparation-grid" } });
  const pages = el("div.row.wrap", { hidden: true });
  const facts = el("p", { role: "status", data: { role: "preparation-facts" } });
  const start = button("Prepare", () => begin(), { kind: "primary", disabled: true, data: { action: "prepare" } });
  const cancel = button("Cancel", () => app.attempt(() => app.api.post("preparation/cancel"), cancel), { data: { action: "prepare-cancel" }, hidden: true });
  const bar = el("div.bar", { hidden: true, role: "progressbar", "aria-label": "Preparing", "aria-valuemin": "0", "aria-valuemax": "100" }, el("div.bar-fill"));
  const result = el("div.stack.tight", { "aria-live": "polite", data: { role: "preparation-result" } });
  const node = el("section.card", { "aria-label": "Prepare pictures", data: { section: "preparation" } }, opened);
  opened.append(
    el("summary", {}, "Prepare pictures"),
    el(
      "div.stack.preparation-body",
      {},
      el("p.help", {}, "Cut, split, mirrored and converted copies, in a folder of their own. The originals stay as they are. Drag a frame to move a crop; masks are painted on the originals and train at once, with ", link(app, "train.masked_loss", "masked loss"), "."),
      options.node,
      out.node,
      notes,
      grid,
      pages,
      el("div.row.wrap", {}, facts, el("span.spring"), cancel, start),
      bar,
      result,
    ),
  );
  opened.addEventListener("toggle", () => {
    if (!opened.open) return;
    look();
    idle = false;
    poll.now();
  });

  let at = 0;
  let asked = null;
  let plan = null;
  /** Whether the server has said that nothing is being prepared. */
  let idle = false;

  function body(extra = {}) {
    return { folder: folder(), out: out.value, options: options.values(), recipe: app.draft.nested(), ...extra };
  }

  function fromStart() {
    at = 0;
    later();
  }

  const later = debounced(() => look(), 250);

  /** Asks what would be done, and shows it. */
  async function look() {
    if (!opened.open || !app.visible || opened.offsetParent === null) return;
    if (!folder()) {
      plan = null;
      fill(notes, el("p.help", {}, "Choose a folder of instance pictures above."));
      fill(facts);
      keyed(grid, [], String, String);
      pages.hidden = true;
      start.disabled = true;
      return;
    }
    asked?.abort();
    asked = new AbortController();
    try {
      plan = await app.api.post("preparation/plan", body({ start: at, count: PAGE }), asked.signal);
      if (at > 0 && !plan.items.length) return fromStart(); // pictures have gone meanwhile
      show();
    } catch (error) {
      if (error.name === "AbortError") return;
      plan = null;
      fill(notes, el("p.problem", { role: "alert" }, error.message));
      fill(facts);
      start.disabled = true;
    }
  }

  function show() {
    out.suggest(plan.out);
    fill(
      notes,
      plan.notes.map((text, number) => el(number === 0 && plan.undersized.length ? "p.advice" : "p.help", {}, text)),
      plan.problem && el("p.problem", { role: "alert" }, plan.problem),
    );
    keyed(grid, plan.items, (item) => item.name, (item) => card(item));
    facts.textContent = `${count(plan.pictures, "picture", "pictures")} → ${count(plan.files, "file", "files")}`;
    start.disabled = Boolean(plan.problem) || working;
    drawPages();
  }

  function drawPages() {
    const last = Math.max(Math.ceil(plan.pictures / PAGE) - 1, 0);
    pages.hidden = last === 0;
    const go = (page) => {
      at = page * PAGE;
      look();
    };
    const now = at / PAGE;
    fill(
      pages,
      button("← Before", () => go(now - 1), { kind: "small", disabled: now === 0, data: { action: "preparation-before" } }),
      el("span.quiet", {}, `${at + 1}–${Math.min(at + PAGE, plan.pictures)} of ${plan.pictures.toLocaleString("en")}`),
      button("Next →", () => go(now + 1), { kind: "small", disabled: now === last, data: { action: "preparation-next" } }),
    );
  }

  function card(item) {
    const where = folder();
    const move = async (crop) => {
      await app.attempt(() => app.api.post("preparation/crop", { folder: where, name: item.name, crop }));
      later();
    };
    const [first] = item.cuts;
    const crop = new CropPicture(app, item, move);
    const sizes = [...new Set(item.cuts.map((cut) => cut.after.join(" × ")))].join(", ");
    const copies = item.cuts.length * (item.mirrored ? 2 : 1);
    return el(
      "figure.preparation-item",
      { data: { name: item.name } },
      crop.node,
      el("figcaption", {}, el("span.preparation-name", { title: item.name }, item.name), el("span.preparation-size", {}, `${item.width} × ${item.height} → ${first ? sizes : "–"}${copies > 1 ? ` (${copies})` : ""}`)),
      item.enlarged > 1 && el("p.advice", {}, `enlarged ${item.enlarged.toFixed(item.enlarged < 1.1 ? 2 : 1)} times`),
      item.problem && el("p.problem", {}, item.problem),
      el(
        "div.row.wrap.together",
        {},
        button(item.mask ? "Mask ✓" : "Mask…", () => paint(item), { kind: "small", "aria-label": `Mask of ${item.name}`, data: { action: "preparation-mask" } }),
        item.by_hand && button("Reset crop", () => move(null), { kind: "small", "aria-label": `Reset the crop of ${item.name}`, data: { action: "preparation-reset" } }),
      ),
    );
  }

  async function paint(item) {
    const changed = await paintMask(app, folder(), item.name);
    if (changed) look();
  }

  let working = false;

  async function begin() {
    fill(result);
    await app.attempt(async () => {
      const job = await app.api.post("preparation", body());
      working = true; // a few pictures may be done already
      tell(job);
      poll.now();
    }, start);
    start.disabled = working || !plan || Boolean(plan.problem);
  }

  function tell(job) {
    const ended = working && job.state !== "preparing";
    working = job.state === "preparing";
    idle = !working;
    bar.hidden = cancel.hidden = !working;
    start.disabled = working || !plan || Boolean(plan.problem);
    if (working) {
      const share = job.total ? (100 * job.done) / job.total : 0;
      bar.firstElementChild.style.width = `${share}%`;
      bar.setAttribute("aria-valuenow", String(Math.round(share)));
      fill(result, el("p.progress-facts", {}, `${job.done.toLocaleString("en")} of ${job.total.toLocaleString("en")} into ${job.out}`));
    } else if (ended) {
      fill(result, ending(job));
      look();
    }
  }

  function ending(job) {
    if (job.state === "failed") return [el("p.problem", { role: "alert" }, job.message)];
    const words = job.state === "cancelled" ? "Cancelled; the same preparation goes on from here." : "Done.";
    const use = button("Use these pictures for the concept", () => app.draft.set(`dataset.concepts.${concept()}.instance`, job.out), { kind: "small", data: { action: "preparation-use" } });
    return [
      el("div.notice.good", {}, el("span", {}, `${words} ${count(job.written, "picture", "pictures")} written into ${job.out}${job.skipped ? `, ${job.skipped.toLocaleString("en")} were there already` : ""}.`), job.out !== folder() && concept() >= 0 && use),
      ...job.problems.map((text) => el("p.advice", {}, text)),
    ];
  }

  /** The concept whose folder this is; -1 where the draft has none. */
  function concept() {
    const wanted = folder();
    for (let number = 0; number < app.draft.concepts; number += 1) if (String(app.draft.get(`dataset.concepts.${number}.instance`)).trim() === wanted) return number;
    return -1;
  }

  const poll = new Poll({
    ask: async () => tell(await app.api.get("preparation")),
    every: EVERY,
    visible: () => app.visible && opened.open && opened.offsetParent !== null,
    over: () => app.over || idle,
  });


  return {
    node,
    look,
    later,
    open() {
      opened.open = true;
    },
  };
}

/** Where the results go: empty means the folder that the server suggests. */
function outField(app, changed) {
  const id = freshId("sdft-preparation-out");
  const input = el("input.input", { id, type: "text", spellcheck: "false", autocomplete: "off", data: { option: "out" } });
  input.addEventListener("input", changed);
  const browse = button(
    "Browse…",
    async () => {
      const chosen = await chooseFolder(app, input.value || input.placeholder, "Folder for the results");
      if (chosen === null) return;
      input.value = chosen;
      changed();
    },
    { "aria-label": "Browse for the folder of the results" },
  );
  return {
    node: el("div.field", {}, el("label.label", { htmlFor: id }, "Results go into"), el("div.row.together", {}, input, browse), el("p.help", {}, "A new folder, or one that an earlier preparation made: what is there already isn't made again.")),
    get value() {
      return input.value.trim();
    },
    suggest(folder) {
      input.placeholder = folder;
    },
  };
}

function link(app, path, words) {
  return el("button.sentence", { type: "button", onclick: () => app.showSetting(path) }, words);
}
