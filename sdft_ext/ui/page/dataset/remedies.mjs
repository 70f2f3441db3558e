// What can be done about a finding by changing a setting, and which findings' pictures can be removed.

/** @import { Value } from "../types.d.ts" */
/** @import { DatasetReport, Finding } from "./types.d.ts" */

/** Kinds of findings whose pictures can each be removed. */
export const REMOVABLE = new Set([
  ...["unusable", "blurred", "very_dark", "very_bright", "too_many_pictures", "texts_without_pictures"],
  ...["regularization_blurred", "regularization_very_dark", "regularization_very_bright", "regularization_alike"],
]);
/** Kinds of findings whose files are of no use at all. */
export const USELESS = new Set(["unusable", "texts_without_pictures"]);
/** Kinds of findings that are resolved by editing captions. */
export const IN_CAPTIONS = new Set(["captions_missing", "captions_empty", "empty_text", "recurring_tag", "recurring_text"]);

/**
 * Finds the setting that resolves a finding; null where there is none, or it has that value already.
 * @param {Pick<Finding, "kind">} finding
 * @param {Pick<DatasetReport, "buckets">} report
 * @param {(path: string) => Value | undefined} get reads a setting
 * @returns {{ label: string, path: string, value: Value } | null}
 */
export function settingRemedy({ kind }, report, get) {
  const remedy = settingFor(kind, report, get);
  return remedy && get(remedy.path) !== remedy.value ? remedy : null;
}

/** @param {string} kind @param {Pick<DatasetReport, "buckets">} report @param {(path: string) => Value | undefined} get */
function settingFor(kind, report, get) {
  if (kind === "enlarged") return { label: "Don't enlarge small pictures", path: "dataset.no_upscale", value: true };
  if (kind === "cache_memory") return { label: "Keep the cache on disk", path: "dataset.cache", value: "disk" };
  if (kind === "trigger_missing" && !get("dataset.template")) {
    return { label: "Put the trigger before every caption", path: "dataset.template", value: "[name], [filewords]" };
  }
  if (kind !== "small_buckets") return null;
  const size = smallestBucket(report);
  return size < Number(get("train.batch_size")) ? { label: `Use a batch size of ${size}`, path: "train.batch_size", value: size } : null;
}

/** The batch size that the smallest bucket fills; at least 1. @param {Pick<DatasetReport, "buckets">} report */
export function smallestBucket({ buckets }) {
  return Math.max(Math.floor(Math.min(...buckets.map((one) => one.showings).filter((number) => number > 0))), 1);
}
