// A window to paint a picture's mask in: white is learnt, black isn't. It is stored beside the picture, as training reads it.

import { button, el, fill, freshId } from "../shared/dom.mjs";
import { confirm, dialog } from "../shared/dialog.mjs";

const MOST_UNDO = 20;
const SIDE = 512;
const STEP = 0.02;

/** Returns whether the mask was changed. */
export async function paintMask(app, folder, name) {
  let told = null;
  if (!(await app.attempt(async () => (told = await app.api.get("preparation/mask", { folder, name }))))) return false;
  const painted = new Mask(told.width, told.height);
  if (told.mask) await painted.load(told.mask);
  return Boolean(await dialog(app, `Mask of ${name}`, (close) => content(app, folder, told, painted, close), { wide: true }));
}

function content(app, folder, told, mask, close) {
  const { name } = told;
  const sizeId = freshId("sdft-brush");
  const size = el("input.slider", { id: sizeId, type: "range", min: "1", max: "50", value: "12", data: { action: "mask-size" } });
  const ring = el("span.mask-ring", { "aria-hidden": "true", hidden: true });
  const stage = el("div.mask-stage", { style: `aspect-ratio: ${told.width} / ${told.height}; --sdft-mask-share: ${told.width / told.height}` }, el("img", { src: app.api.url(told.picture, { side: SIDE }), alt: "", draggable: "false" }), mask.canvas, ring);
  const says = el("p.help", { role: "status" });
  const tools = ["Brush", "Eraser"].map((label, number) => button(label, () => choose(number === 0), { kind: "small", data: { action: number ? "mask-eraser" : "mask-brush" } }));
  const undo = button("Undo", () => change(() => mask.undo()), { kind: "small", data: { action: "mask-undo" } });
  const save = button("Save the mask", () => store(), { kind: "primary", data: { action: "mask-save" } });
  let white = true;
  let cursor = [0.5, 0.5];
  mask.canvas.setAttribute("aria-label", "Mask: arrow keys move the brush, Space paints, [ and ] change its size");
  mask.canvas.setAttribute("role", "application");
  mask.canvas.tabIndex = 0;

  /** Pixels of the mask. */
  const radius = () => (Number(size.value) / 100) * Math.min(told.width, told.height);

  function choose(brush) {
    white = brush;
    tools.forEach((tool, number) => tool.setAttribute("aria-pressed", String((number === 0) === white)));
  }

  function change(act) {
    act();
    follow();
  }

  function follow() {
    undo.disabled = !mask.canUndo;
    const share = mask.share();
    save.disabled = share === 0;
    says.textContent = share === 0 ? "Nothing is white: paint what shall be learnt." : share === 1 ? "All is white: all of the picture is learnt." : `${Math.max(1, Math.min(99, Math.round(100 * share)))} % of the picture is learnt; the dark part isn't.`;
  }

  function show(place) {
    ring.hidden = !place;
    if (!place) return;
    const across = (200 * radius()) / told.width;
    Object.assign(ring.style, { left: `${100 * place[0]}%`, top: `${100 * place[1]}%`, width: `${across}%` });
  }

  const at = (event) => {
    const area = mask.canvas.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  };
  mask.canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    mask.canvas.focus({ preventScroll: true });
    mask.canvas.setPointerCapture(event.pointerId);
    mask.remember();
    cursor = at(event);
    mask.stroke(cursor, cursor, radius(), white);
  });
  mask.canvas.addEventListener("pointermove", (event) => {
    const now = at(event);
    show(now);
    if (!mask.canvas.hasPointerCapture(event.pointerId)) return;
    mask.stroke(cursor, now, radius(), white);
    cursor = now;
  });
  for (const end of ["pointerup", "pointercancel"]) mask.canvas.addEventListener(end, follow);
  mask.canvas.addEventListener("pointerleave", () => show(null));
  mask.canvas.addEventListener("blur", () => show(null));
  mask.canvas.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) change(() => mask.undo());
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key.startsWith("Arrow")) {
      const step = event.shiftKey ? 4 * STEP : STEP;
      const [x, y] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
      cursor = [Math.min(Math.max(cursor[0] + x, 0), 1), Math.min(Math.max(cursor[1] + y, 0), 1)];
      show(cursor);
    } else if (event.key === " ")
      change(() => {
        mask.remember();
        mask.stroke(cursor, cursor, radius(), white);
        show(cursor);
      });
    else if (event.key === "[" || event.key === "]") {
      size.value = String(Number(size.value) + (event.key === "]" ? 2 : -2));
      show(cursor);
    } else return;
    event.preventDefault();
  });

  const wrong = el("p.problem", { role: "alert", hidden: true });
  /** Does something that may fail; its sentence is shown here, as the page's own message lies behind this window. */
  async function attempt(act, pressed) {
    wrong.hidden = true;
    pressed.disabled = true;
    try {
      await act();
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
    pressed.disabled = false;
  }

  const keep = async (data) => {
    await app.api.post("preparation/mask", { folder, name, mask: data, before: told.version });
    close(true);
  };

  async function store() {
    await attempt(() => keep(mask.data()), save);
    follow();
  }

  async function remove(event) {
    if (await confirm(app, "Remove the mask", `All of ${name} is learnt then. A copy of the mask is kept in the folder's .sdft/masks.`, "Remove")) await attempt(() => keep(null), event.target);
  }

  async function fromAlpha(event) {
    await attempt(async () => {
      const found = await app.api.get("preparation/mask", { folder, name, alpha: true });
      mask.remember();
      await mask.load(found.mask);
    }, event.target);
    follow();
  }

  choose(true);
  follow();
  const node = el("div.stack.mask-window");
  return fill(
    node,
    el(
      "div.row.wrap",
      {},
      el("div.row.together", { role: "group", "aria-label": "Tool" }, tools),
      el("label.row.together", { htmlFor: sizeId }, el("span.quiet", {}, "Size"), size),
      el("span.spring"),
      undo,
      button("Invert", () => change(() => mask.invert()), { kind: "small", data: { action: "mask-invert" } }),
      button("Clear", () => change(() => mask.clear(false)), { kind: "small", title: "Nothing is learnt", data: { action: "mask-clear" } }),
      button("Fill", () => change(() => mask.clear(true)), { kind: "small", title: "All is learnt", data: { action: "mask-fill" } }),
      told.alpha && button("From transparency", fromAlpha, { kind: "small", data: { action: "mask-alpha" } }),
    ),
    stage,
    says,
    wrong,
    el("div.row.end.wrap", {}, told.version && button("Remove the mask", remove, { kind: "danger", data: { action: "mask-remove" } }), button("Cancel", () => close(), {}), save),
  );
}

/** A canvas of greys; opaque, so that what is seen is what is stored. It begins black. */
class Mask {
  #before = [];
  #pen;

  constructor(width, height) {
    this.canvas = el("canvas.mask", { width: String(width), height: String(height) });
    this.#pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.#fill("#000");
  }

  get canUndo() {
    return this.#before.length > 0;
  }

  async load(url) {
    const image = new Image();
    image.src = url;
    await image.decode();
    this.#fill("#000");
    this.#pen.drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
  }

  /** What undo comes back to. */
  remember() {
    this.#before.push(this.#pixels());
    if (this.#before.length > MOST_UNDO) this.#before.shift();
  }

  undo() {
    const before = this.#before.pop();
    if (before) this.#pen.putImageData(before, 0, 0);
  }

  /** A line between two places (shares of the sides), with a round brush. */
  stroke(from, to, radius, white) {
    const pen = this.#pen;
    pen.strokeStyle = pen.fillStyle = white ? "#fff" : "#000";
    pen.lineCap = "round";
    pen.lineWidth = 2 * radius;
    const { width, height } = this.canvas;
    pen.beginPath();
    pen.moveTo(from[0] * width, from[1] * height);
    pen.lineTo(to[0] * width, to[1] * height);
    pen.stroke();
    pen.beginPath();
    pen.arc(to[0] * width, to[1] * height, radius, 0, 2 * Math.PI);
    pen.fill();
  }

  invert() {
    this.remember();
    const pixels = this.#pixels();
    for (let at = 0; at < pixels.data.length; at += 4) for (const channel of [0, 1, 2]) pixels.data[at + channel] = 255 - pixels.data[at + channel];
    this.#pen.putImageData(pixels, 0, 0);
  }

  clear(white) {
    this.remember();
    this.#fill(white ? "#fff" : "#000");
  }

  /** How much of it is white, 0 to 1. */
  share() {
    const { data } = this.#pixels();
    let sum = 0;
    for (let at = 0; at < data.length; at += 4) sum += data[at];
    return sum / ((255 * data.length) / 4);
  }

  data() {
    return this.canvas.toDataURL("image/png");
  }

  #fill(colour) {
    this.#pen.fillStyle = colour;
    this.#pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  #pixels() {
    return this.#pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
  }
}
