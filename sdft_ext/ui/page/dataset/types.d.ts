// Shapes that the Dataset panel's modules share. For the type check alone: nothing loads this file.

import type { Panel } from "../types.d.ts";

/** A file in a report; the fields of a picture are 0 or empty for what is none. */
export interface ReportedFile {
  /** Its number in the report. */
  file: number;
  /** Below its concept's folder. */
  name: string;
  removed: boolean;
  /** Path of its thumbnail below /sdft/v1/. */
  picture: string | null;
  width: number;
  height: number;
  bytes: number;
  caption: string;
  concept: number | null;
  regularization: boolean;
  /** In a group of duplicates: how it differs from the file to keep. */
  relation?: string;
  /** The part that the finding is about: left, top, right and bottom as shares of the sides. */
  box?: [number, number, number, number] | null;
}

export interface Finding {
  number: number;
  kind: string;
  text: string;
  concept: number | null;
  facts: Record<string, number>;
  /** Files behind it. */
  count: number;
  /** The first 12. */
  files: ReportedFile[];
}

export interface DuplicateGroup {
  number: number;
  kind: string;
  text: string;
  kept: boolean;
  files: ReportedFile[];
}

export interface Bucket {
  width: number;
  height: number;
  showings: number;
  instance_pictures: number;
  regularization_pictures: number;
}

/** How values spread. */
export interface Spread {
  least: number;
  middle: number;
  most: number;
}

export interface Histogram {
  low: number;
  high: number;
  counts: number[];
}

export interface DatasetReport {
  concepts: { instance_pictures: number; regularization_pictures: number }[];
  buckets: Bucket[];
  /** Showings left over in an epoch, by batch size. */
  left_over: Record<string, number>;
  figures: { sizes: number; shorter_side: Spread | null; sharpness: Spread | null; brightness: Spread | null };
  histograms: { shorter_side: Histogram | null; sharpness: Histogram | null; brightness: Histogram | null };
  showings_per_epoch: number;
  steps_per_epoch: number;
  copies: { groups: number; exact: number };
  findings: Finding[];
  problems: string[];
  removed: number;
}

/** `GET datasets/report/ID` */
export interface ReportAnswer {
  state: "waiting" | "reading" | "inspecting" | "comparing" | "finished" | "cancelled" | "failed";
  done: number;
  total: number;
  message: string;
  report: DatasetReport | null;
}

/** Files that were moved to the trash together; `files` are their numbers in the report. */
export interface ReportRemoval {
  folder: string;
  id: string;
  files: number[];
}

/** What can be done about a finding; `act` returns whether that settles it. */
export interface Remedy {
  label: string;
  act(finding: Finding, report: DatasetReport): boolean | Promise<boolean>;
  when?(finding: Finding, report: DatasetReport): boolean;
}

/** Pictures have come or gone. */
export interface PictureNews {
  /** How many came. */
  added?: number;
  /** Which section did it. */
  from?: "report" | "trash";
}

/** A section of the Dataset panel. */
export interface DatasetSection extends Panel {
  name: string;
  /** Makes the report anew. */
  inspect?(): unknown;
}

/** What the sections of the Dataset panel share. */
export interface DatasetPanel {
  /** The concept whose settings are shown, and which pictures are added to. */
  concept: number;
  remedies: Map<string, Remedy>;
  /** The path of a setting of the chosen concept. */
  path(name: string): string;
  choose(concept: number): void;
  listen(what: "concept" | "pictures", act: (news?: PictureNews) => unknown): void;
  notify(what: "concept" | "pictures", news?: PictureNews): void;
  offer(kind: string, remedy: Remedy): void;
  show(section: string): void;
}

/** A job that draws regularization pictures. */
export interface RegularizationJob {
  name: string;
  folder: string;
  wanted: { prompts: string[]; sampling: { width: number; height: number } };
  state: "waiting" | "drawing" | "paused" | "finished" | "stopped" | "failed";
  done: number;
  total: number;
  seconds_left: number;
  message: string;
  newest: { name: string; picture: string }[];
}
