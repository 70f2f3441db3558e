// Control pictures by step: each prompt's picture at a chosen step beside the one at step 0.

import { part } from "../shared/api.mjs";
import { el, fill } from "../shared/dom.mjs";

const SETS = [
  ["concept", "With the trigger", "These should come to show the concept."],
  ["bleeding", "Without the trigger", "These should stay as they were at step 0."],
];

export function controlsHistory(app) {
  const slider = el("input.slider", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Step of the control pictures" });
  const at = el("output.step-label");
  const bar = el("div.row", { hidden: true }, slider, at);
  const rows = el("div.stack");
  const empty = el("p.quiet", {}, "Control pictures appear when the run has drawn its first ones. Name prompts under Watching to get some.");
  let run = null;
  let steps = [];
  let prompts = [];
  let follows = true;
  let images = [];

  const address = (entry, step) => app.api.url(`runs/${part(run)}/controls/${part(entry.set)}/${entry.number}/${step}`);
  const draw = () => {
    const step = steps[Number(slider.value)];
    at.textContent = step === undefined ? "" : `Step ${step}`;
    slider.setAttribute("aria-valuetext", at.textContent);
    for (const { entry, image, caption } of images) {
      const url = address(entry, step);
      if (image.src !== url) image.src = url;
      image.alt = `${entry.prompt || "(empty prompt)"}, step ${step}`;
      caption.textContent = `Step ${step}`;
    }
  };
  const picture = (entry, step) => {
    const image = el("img.control", { src: address(entry, step), alt: `${entry.prompt || "(empty prompt)"}, step ${step}`, loading: "lazy" });
    // Small pictures are enlarged without blur.
    image.addEventListener("load", () => image.classList.toggle("sdft-pixels", image.naturalWidth <= 128));
    return image;
  };
  const build = () => {
    images = [];
    fill(
      rows,
      SETS.map(([set, title, help]) => {
        const entries = prompts.filter((entry) => entry.set === set);
        if (!entries.length) return null;
        return el(
          "div.control-set",
          { data: { set } },
          el("h3.subtitle", {}, title),
          el("p.help", {}, help),
          el(
            "div.control-rows",
            {},
            entries.map((entry) => {
              const image = picture(entry, steps.at(-1));
              const caption = el("span.quiet", {}, "");
              images.push({ entry, image, caption });
              return el(
                "figure.control-row",
                {},
                el("figcaption.prompt", { title: `Seed ${entry.seed}` }, entry.prompt || "(empty prompt)"),
                el("div.pair", {}, el("div.of-step", {}, picture(entry, steps[0]), el("span.quiet", {}, `Step ${steps[0]}`)), el("div.of-step", { data: { role: "now" } }, image, caption)),
              );
            }),
          ),
        );
      }),
    );
  };

  slider.addEventListener("input", () => {
    follows = Number(slider.value) === steps.length - 1;
    draw();
  });

  return {
    node: el("div.stack", {}, bar, rows, empty),
    show(id, controls) {
      const next = controls ?? { steps: [], prompts: [] };
      const another = id !== run || JSON.stringify(next.prompts) !== JSON.stringify(prompts);
      run = id;
      const before = steps[Number(slider.value)];
      steps = next.steps;
      prompts = next.prompts;
      const any = steps.length > 0 && prompts.length > 0;
      bar.hidden = !any;
      empty.hidden = any;
      rows.hidden = !any;
      if (!any) return;
      if (another) follows = true;
      slider.max = String(steps.length - 1);
      slider.value = String(follows ? steps.length - 1 : Math.max(steps.indexOf(before), 0));
      if (another || !images.length) build();
      draw();
    },
  };
}
