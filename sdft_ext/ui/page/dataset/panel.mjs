// The Dataset panel: sections below one another, each in a module of its own.
//
// A section is `(app, panel) => ({ name, node, shown })`. `panel` is what they share: the chosen concept, who hears that
// pictures have come or gone, and the remedies that a section offers for findings of the report.

import { addSection } from "./add.mjs";
import { conceptsSection } from "./concepts.mjs";
import { reportSection } from "./report.mjs";
import { trashSection } from "./trash.mjs";
import { el } from "../shared/dom.mjs";
import { preparationSection } from "../preparation/section.mjs";
import { regularizationSection } from "./regularization.mjs";

const SECTIONS = [conceptsSection, addSection, reportSection, preparationSection, regularizationSection, trashSection];

export function datasetPanel(app) {
  const panel = new Panel();
  panel.sections = SECTIONS.map((make) => make(app, panel));
  const node = el("div.dataset", {}, panel.sections.map((section) => section.node));
  return {
    node,
    panel,
    shown() {
      for (const section of panel.sections) section.shown?.();
    },
    /** A picture from elsewhere in the WebUI: the user is asked where it goes. */
    async receive(picture) {
      const { sendPicture } = await import("./from_txt2img.mjs");
      await sendPicture(app, panel, picture);
    },
  };
}

class Panel {
  sections = [];
  /** The concept whose settings are shown, and which pictures are added to. */
  concept = 0;
  /** Remedies: kind of a finding → { label, act(finding, report), when(finding, report) }. */
  remedies = new Map();
  #listeners = { concept: [], pictures: [] };

  section(name) {
    return this.sections.find((one) => one.name === name);
  }

  path(name) {
    return `dataset.concepts.${this.concept}.${name}`;
  }

  choose(number) {
    this.concept = number;
    this.tell("concept");
  }

  /** `act` is called when another concept is chosen ("concept"), or pictures have come or gone ("pictures"). */
  listen(what, act) {
    this.#listeners[what].push(act);
  }

  tell(what, news) {
    for (const act of this.#listeners[what]) act(news);
  }

  offer(kind, remedy) {
    this.remedies.set(kind, remedy);
  }

  /** Brings a section into view. */
  show(name) {
    this.section(name)?.node.scrollIntoView({ block: "start", behavior: "smooth" });
  }
}
