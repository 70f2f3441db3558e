// Links to pages elsewhere.

import { el } from "./dom.mjs";

/** @import { GuideLeads } from "../types.d.ts" */

/** Makes a link to a page elsewhere, which learns nothing of this one. @param {GuideLeads["links"][number]} link */
export function linkNode({ label, url }) {
  const safe = url.startsWith("https://");
  return safe ? el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label) : el("span", {}, `${label}: ${url}`);
}
