// One picture with the parts that are cut out of it drawn on; a single one is moved by mouse, finger or keyboard.

import { debounced, el } from "../shared/dom.mjs";

const STEP = 0.01;
const FAR = 0.1;
const ZOOM = 1.1;
const MOST_ZOOM = 8;

export class CropPicture {
  #item;
  #moved;
  #frame;
  #later;
  /** Left, top, width and height of the cut, as shares of the picture's sides. */
  #box;
  /** Its size at zoom 1. */
  #full;

  /** `moved({ x, y, zoom })` is told the middle of the cut, as shares of the sides. */
  constructor(app, item, moved) {
    this.#item = item;
    this.#moved = moved;
    this.#later = debounced(() => this.#tell(), 500);
    const [first] = item.cuts;
    const image = el("img", { src: app.api.url(item.picture, { side: 384 }), alt: "", loading: "lazy", draggable: "false", class: Math.max(item.width, item.height) <= 128 ? "sdft-pixels" : "" });
    this.node = el("div.crop-picture", { style: `aspect-ratio: ${item.width} / ${item.height}; --sdft-crop-share: ${item.width / item.height}` }, image);
    if (!first) return;
    if (item.cuts.length > 1) {
      this.node.append(...item.cuts.map((cut) => placed(el("span.crop-tile", { "aria-hidden": "true" }), cut)));
      return;
    }
    this.#box = { ...first };
    // At zoom 1 the cut reaches from edge to edge along one side.
    const share = Math.max(first.width, first.height);
    this.#full = { width: first.width / share, height: first.height / share };
    if (!item.movable) {
      if (first.width < 1 || first.height < 1) this.node.append(placed(el("span.crop-frame", { "aria-hidden": "true" }), first));
      return;
    }
    this.#frame = el("span.crop-frame.crop-movable", {
      role: "slider",
      tabIndex: 0,
      "aria-label": `Crop of ${item.name}: arrow keys move it, plus and minus change its size, Delete puts it back`,
      title: "Drag to move; wheel with Ctrl, + and − change its size",
      data: { action: "preparation-crop" },
    });
    this.node.append(this.#frame);
    this.#frame.addEventListener("pointerdown", (event) => this.#drag(event));
    this.#frame.addEventListener("keydown", (event) => this.#key(event));
    this.#frame.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey) return;
        event.preventDefault();
        this.#zoom(event.deltaY < 0 ? ZOOM : 1 / ZOOM);
      },
      { passive: false },
    );
    this.#draw();
  }

  get #zoomed() {
    return Math.min(Math.max(this.#full.width / this.#box.width, 1), MOST_ZOOM);
  }

  #draw() {
    placed(this.#frame, this.#box);
    const [x, y] = this.#middle().map((share) => Math.round(100 * share));
    this.#frame.setAttribute("aria-valuetext", `${x} % from the left, ${y} % from the top`);
    this.#frame.setAttribute("aria-valuenow", String(x));
  }

  #middle() {
    return [this.#box.x + this.#box.width / 2, this.#box.y + this.#box.height / 2];
  }

  #put(x, y) {
    this.#box.x = Math.min(Math.max(x, 0), 1 - this.#box.width);
    this.#box.y = Math.min(Math.max(y, 0), 1 - this.#box.height);
    this.#draw();
  }

  #zoom(times) {
    const [x, y] = this.#middle();
    const zoom = Math.min(Math.max(this.#zoomed * times, 1), MOST_ZOOM);
    this.#box.width = this.#full.width / zoom;
    this.#box.height = this.#full.height / zoom;
    this.#put(x - this.#box.width / 2, y - this.#box.height / 2);
    this.#later();
  }

  #drag(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.#frame.focus({ preventScroll: true });
    this.#frame.setPointerCapture(event.pointerId);
    const area = this.node.getBoundingClientRect();
    const from = { x: this.#box.x, y: this.#box.y };
    const move = (now) => this.#put(from.x + (now.clientX - event.clientX) / area.width, from.y + (now.clientY - event.clientY) / area.height);
    const end = () => {
      this.#frame.removeEventListener("pointermove", move);
      this.#frame.removeEventListener("pointerup", end);
      this.#frame.removeEventListener("pointercancel", end);
      if (from.x !== this.#box.x || from.y !== this.#box.y) this.#later();
    };
    this.#frame.addEventListener("pointermove", move);
    this.#frame.addEventListener("pointerup", end);
    this.#frame.addEventListener("pointercancel", end);
  }

  #key(event) {
    const step = event.shiftKey ? FAR : STEP;
    const [x, y] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [0, 0];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (x || y) {
      this.#put(this.#box.x + x, this.#box.y + y);
      this.#later();
    } else if (event.key === "+" || event.key === "=") this.#zoom(ZOOM);
    else if (event.key === "-") this.#zoom(1 / ZOOM);
    else if (event.key === "Delete" || event.key === "Backspace") this.#moved(null);
    else return;
    event.preventDefault();
  }

  #tell() {
    const [x, y] = this.#middle();
    this.#moved({ x, y, zoom: this.#zoomed });
  }
}

function placed(node, { x, y, width, height }) {
  Object.assign(node.style, { left: `${100 * x}%`, top: `${100 * y}%`, width: `${100 * width}%`, height: `${100 * height}%` });
  return node;
}
