// What the routes of preparation answer.

/** A part of a picture, all four as shares of its sides. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Cut extends Box {
  /** Width and height of the result. */
  after: [number, number];
}

/** Where a crop was moved to: its middle as shares of the sides, and how far it is zoomed in. */
export interface Crop {
  x: number;
  y: number;
  zoom: number;
}

export interface PlannedPicture {
  name: string;
  picture: string;
  width: number;
  height: number;
  mask: boolean;
  /** Its crop can be moved by hand. */
  movable: boolean;
  by_hand: boolean;
  enlarged: number;
  mirrored: boolean;
  cuts: Cut[];
  problem: string;
}

export interface Plan {
  out: string;
  pictures: number;
  files: number;
  undersized: string[];
  notes: string[];
  /** Why it can't be carried out; empty where it can. */
  problem: string;
  items: PlannedPicture[];
}

export interface PreparationStatus {
  state: "idle" | "preparing" | "finished" | "cancelled" | "failed";
  done: number;
  total: number;
  message: string;
  out: string;
  written: number;
  skipped: number;
  problems: string[];
}

export interface MaskResponse {
  name: string;
  picture: string;
  /** A PNG's data URL; empty where there is no mask. */
  mask: string;
  version: string;
  width: number;
  height: number;
  /** Whether the picture is transparent. */
  alpha: boolean;
}

/** A place in a picture, as shares of its sides. */
export type Place = [x: number, y: number];

/** What the section needs of the Dataset panel. */
export interface DatasetPanel {
  /** The path of a setting of the chosen concept. */
  path(name: string): string;
  listen(what: "concept" | "pictures", act: () => void): void;
  /** Offers a remedy for a kind of finding; `act` returns whether the findings should be asked for again. */
  offer(kind: string, remedy: { label: string; act(): boolean }): void;
  show(section: string): void;
}
