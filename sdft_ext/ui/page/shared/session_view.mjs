// What the server says about itself: the model that is trained, free memory, its version, and what has to be known first.

import { el, fill } from "./dom.mjs";
import { megabytes } from "./numbers.mjs";

/** @import { Session } from "../types.d.ts" */

export class SessionView {
  model = el("div.model");
  notices = el("div", { data: { role: "notices" } });
  version = el("footer.version.quiet");

  /** @param {Session} session */
  show(session) {
    const { model, memory } = session.host;
    this.version.textContent = `sdft ${session.version}`;
    fill(
      this.model,
      el("span.dot", { "aria-hidden": "true", class: `sdft-dot ${model?.trainable ? "sdft-good" : "sdft-bad"}` }),
      el("span.model-name", { title: model?.path ?? "" }, model?.name || "No model"),
      model?.family && el("span.quiet", {}, model.family),
      memory?.free_mb != null && el("span.quiet", {}, `${megabytes(memory.free_mb)} free`),
    );
    // Notices that are shown already stay in place: an alert is read out each time that it is put into the page.
    const notices = noticesOf(session);
    const shown = [...this.notices.children];
    if (shown.length !== notices.length || shown.some((one, place) => !one.isEqualNode(notices[place]))) fill(this.notices, notices);
  }
}

/** @param {Session} session */
function noticesOf({ missing, warnings = [], host }) {
  const notices = [];
  if (missing) {
    const sentence = `These packages are missing: ${missing.packages.join(", ")}. Install them, then restart:`;
    notices.push(el("div.notice.bad", { role: "alert" }, el("span", {}, sentence), el("code.command", {}, missing.command)));
  } else if (host.model && !host.model.trainable && host.model.why) {
    notices.push(el("div.notice.bad", { role: "alert" }, host.model.why));
  }
  return [...notices, ...warnings.map((text) => el("div.notice.warn", { role: "status" }, text))];
}
