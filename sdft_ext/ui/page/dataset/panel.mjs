// The Dataset panel: sections below one another, each in a module of its own.
//
// A section is made by a function of the page and the panel. The panel is what sections share: the chosen concept, who is
// notified when pictures come or go, and the remedies that a section offers for findings of the report.

import { preparationSection } from "../preparation/section.mjs";
import { el } from "../shared/dom.mjs";
import { addSection } from "./add.mjs";
import { conceptsSection } from "./concepts.mjs";
import { regularizationSection } from "./regularization.mjs";
import { reportSection } from "./report.mjs";
import { trashSection } from "./trash.mjs";

/** @import { App, SentPicture } from "../types.d.ts" */
/** @import { DatasetPanel, DatasetSection, PictureNews, Remedy } from "./types.d.ts" */

const SECTIONS = [conceptsSection, addSection, reportSection, preparationSection, regularizationSection, trashSection];

/** @param {App} app */
export function datasetPanel(app) {
  const panel = new SharedPanel();
  panel.sections = SECTIONS.map((make) => make(app, panel));
  const node = el("div.dataset", {}, panel.sections.map((section) => section.node));
  return {
    node,
    panel,
    shown() {
      for (const section of panel.sections) section.shown?.();
    },
    /** Brings a section into view; the report is made anew. @param {string} name */
    open(name) {
      const section = panel.section(name);
      if (!section) return;
      section.inspect?.();
      section.node.scrollIntoView({ block: "start" });
    },
    /** Takes a picture from another tab of the WebUI: the user is asked where it goes. @param {SentPicture} picture */
    async receive(picture) {
      const { sendPicture } = await import("./from_txt2img.mjs");
      await sendPicture(app, panel, picture);
    },
  };
}

/** @implements {DatasetPanel} */
class SharedPanel {
  /** @type {DatasetSection[]} */
  sections = [];
  concept = 0;
  /** Remedies by the kind of finding. @type {Map<string, Remedy>} */
  remedies = new Map();
  /** @type {Record<"concept" | "pictures", ((news?: PictureNews) => unknown)[]>} */
  #listeners = { concept: [], pictures: [] };

  /** Finds a section. @param {string} name */
  section(name) {
    return this.sections.find((one) => one.name === name);
  }

  /** @param {string} name */
  path(name) {
    return `dataset.concepts.${this.concept}.${name}`;
  }

  /** Chooses the concept that is shown. @param {number} concept */
  choose(concept) {
    this.concept = concept;
    this.notify("concept");
  }

  /**
   * Calls `act` when another concept is chosen ("concept"), or pictures have come or gone ("pictures").
   * @param {"concept" | "pictures"} what
   * @param {(news?: PictureNews) => unknown} act
   */
  listen(what, act) {
    this.#listeners[what].push(act);
  }

  /** @param {"concept" | "pictures"} what @param {PictureNews} [news] */
  notify(what, news) {
    for (const act of this.#listeners[what]) act(news);
  }

  /** Offers a remedy for a kind of finding. @param {string} kind @param {Remedy} remedy */
  offer(kind, remedy) {
    this.remedies.set(kind, remedy);
  }

  /** Brings a section into view. @param {string} name */
  show(name) {
    this.section(name)?.node.scrollIntoView({ block: "start", behavior: "smooth" });
  }
}
