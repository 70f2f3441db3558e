// Shapes that the page's modules share, and what a WebUI's own page offers them. For the type check alone: nothing loads this file.
// A module names what it uses: /** @import { App, Run } from "../types.d.ts" */

import type { CaptionFilter } from "./captions/types.d.ts";
import type { Api } from "./shared/api.mjs";
import type { Draft } from "./shared/draft.mjs";

/** A value of a recipe's setting. */
export type Value = string | number | boolean | null | Value[] | { [name: string]: Value };

/** The element that `el("input.input.search")` makes. */
export type ElementOf<Name extends string> = Name extends `${infer Tag}.${string}`
  ? ElementOf<Tag>
  : Name extends keyof HTMLElementTagNameMap
    ? HTMLElementTagNameMap[Name]
    : HTMLElement;

/** What can be put into an element; the last three leave nothing. */
export type Child = Node | string | number | null | undefined | false;
export type Children = (Child | Child[])[];

/** The second argument of `el`: listeners, `data` for the dataset, a few properties, and attributes. */
export type Properties = {
  [Name in keyof HTMLElementEventMap as `on${Name}`]?: ((event: HTMLElementEventMap[Name]) => unknown) | null;
} & {
  data?: Record<string, string | number | boolean | undefined>;
  [attribute: string]: unknown;
};

/** `GET session` */
export interface Session {
  token: string;
  version: string;
  host: {
    name: "webui" | "standalone";
    model: { name: string; path: string; family: string; device: string; trainable: boolean; why: string; held: string } | null;
    memory: { free_mb: number; total_mb: number; device: string } | null;
    features: string[];
  };
  missing: { packages: string[]; command: string } | null;
  warnings: string[];
}

export type State = "waiting" | "preparing" | "training" | "drawing" | "paused" | "finished" | "stopped" | "failed";

export interface Status {
  state: State;
  step: number;
  total: number;
  seconds_left: number;
  message: string;
}

/** A run as a line of the list. */
export interface Run extends Status {
  id: string;
  name: string;
  /** The label of its method; empty where its recipe can't be read. */
  method: string;
  /** The file of its base model. */
  base: string;
  /** Seconds since 1970. */
  started: number;
  saves: number;
  /** Path of a control picture below /sdft/v1/. */
  picture: string | null;
}

/** `GET runs` */
export interface Runs {
  runs: Run[];
  queue: string[];
  current: string | null;
  /** The regularization pictures that are being drawn. */
  drawing?: string | null;
  titles?: Record<string, string>;
  held?: boolean;
  /** Whether the queue loads base models. */
  loads?: boolean;
}

/** `GET device`: how busy the GPU is that trains. */
export interface DeviceLoad {
  /** Percent. */
  load: number;
  /** °C */
  temperature: number;
  used_mb: number;
  total_mb: number;
}

/** A saved file of a run. */
export interface Save {
  name: string;
  file: string;
  /** Of the file on the server. */
  path: string;
  step: number;
  epoch?: number | null;
  loss?: number | null;
  /** Whether it was due; not where it was asked for, or the run was stopped. */
  scheduled: boolean;
}

export interface ControlPrompt {
  set: "concept" | "bleeding";
  number: number; prompt: string;
  seed: number;
  steps?: number[] | null; // that it was drawn at; left out where that is all steps
}

/** A run's control pictures: each prompt was drawn at each step, or at its own steps. */
export interface ControlPictures {
  steps: number[];
  prompts: ControlPrompt[];
}

/** `GET runs/{run}` */
export interface RunDetail extends Status {
  id: string;
  name: string;
  recipe: Recipe;
  saves: Save[];
  controls: ControlPictures;
  /** The events of its log. */
  marks: LogLine[];
  verdict: string;
  advice: string;
  /** Whether the grid of saves was drawn. */
  grid: boolean;
  /** Its saves in the trash. */
  deleted: { id: string; name: string; step: number }[];
  /** Its folder on the server. */
  folder: string;
  /** The folder of its files for TensorBoard; empty where there are none. */
  tensorboard: string;
  /** Markdown; empty before the run has ended. */
  report: string;
}

/** A line of a run's log: the numbers of a step, or an event. */
export interface LogLine {
  step: number;
  event?: string;
  file?: string;
  text?: string;
  smoothed?: number | string;
  pictures_per_second?: number;
  memory_mb?: number;
  [number: string]: unknown;
}

/** `GET runs/{run}/status` */
export interface RunLog {
  status: Status;
  lines: LogLine[];
  /** `since` of the following request. */
  next: number;
  /** Whether there are more lines already. */
  more: boolean;
  /** Changes when the log is rewritten. */
  log: string;
}

/** A setting of the recipe, as its control is drawn from it. */
export interface Field {
  path: string;
  label: string;
  help: string;
  type: "text" | "int" | "float" | "bool" | "choice" | "list" | "map";
  choices: string[];
  low: number | null;
  high: number | null;
  folded: boolean;
  methods: string[];
  is_path: boolean;
  is_folder: boolean;
  unit: string;
  default: Value;
  allowed: string;
  guide: string | null;
  at_resume: boolean;
}

export interface Section {
  path: string;
  label: string;
  help: string;
  repeated: boolean;
  fields: Field[];
}

/** Settings that are chosen together. */
export interface Preset {
  name: string;
  label: string;
  help: string;
  settings: Record<string, Value>;
}

/** A preset that a user has saved. */
export interface OwnPreset {
  name: string;
  settings: Record<string, Value>;
}

/** `POST import` */
export interface ImportedSettings {
  program: string;
  recipe: Recipe;
  taken: { name: string; value: string; setting: string; becomes: string }[];
  left: string[];
}

/** `GET presets` */
export interface Presets {
  presets: OwnPreset[];
  /** A sentence for each file that can't be read. */
  problems: string[];
}

export interface Method {
  name: string;
  label: string;
  help: string;
  /** What the guide says of it; null where it doesn't name it. */
  guide: { difficulty: string; subject: string; style: string; memory: string } | null;
  /** What it learned on the toy model, by the kind of concept. */
  measured: Partial<Record<"subject" | "style" | "known" | "known-style", MethodFigures>>;
  /** Where it was published. */
  source: { label: string; url: string };
  /** Whether it trains the model itself: its saves are checkpoints, unless they are saved as a LoRA. */
  whole_model: boolean;
}

/** Shares of pictures that show the concept, with the trigger and without it; seconds of a run, and size of its file. */
export interface MethodFigures {
  learned: number;
  bleeding: number;
  steps: number;
  seconds: number;
  file: string;
}

/** The memory that a run needs with a method. */
export interface MethodMemory {
  needed_mb: number;
  fits: boolean | null;
}

/** `GET schema` */
export interface Schema {
  sections: Section[];
  defaults: Recipe;
  /** By the kind of the concept. */
  examples: Record<string, { help: string; settings: Record<string, Value> }>;
  presets: Preset[];
  methods: Method[];
  thorough: Preset[];
  recommended: Recommended;
}

/** How many pictures the guide recommends: at least and at most; regularization pictures for each instance picture. */
export interface Recommended {
  instance: Record<string, [number, number]>;
  regularization: [number, number];
}

/** A recipe as it is sent: nested, what has its default left out. */
export type Recipe = { [name: string]: any };

/** `GET guide` */
export interface Guide {
  chapters: ({ title: string; paragraphs: string[] } & GuideLeads)[];
  entries: ({ id: string; term: string; text: string; settings: string[]; command: string } & GuideLeads)[];
}

/** Where a chapter or a term leads: panels, tools or settings of the page, and pages of others. */
export interface GuideLeads {
  places: { panel: string; tool: string; setting: string; label: string }[];
  links: { label: string; url: string }[];
}

/** `POST calculate`: the memory that a run will take. */
export interface Memory {
  needed_mb: number;
  free_mb: number;
  parts: Record<string, number>;
  fits: boolean | null;
  estimate: boolean;
  mode: "shared" | "exclusive";
  text: string;
}

/** `POST calculate`; only `problems` is certain to be there. */
export interface Calculation {
  pictures?: number | null;
  regularization?: number | null;
  steps?: number | null;
  epochs?: number | null;
  steps_per_epoch: number;
  /** Steps: at most 2,000, and the last one. */
  saves?: number[];
  saves_count?: number | null;
  seconds?: number | null;
  /** Of them, for drawing and judging control pictures; null where no earlier run drew any. */
  preview_seconds?: number | null;
  /** Where the speed was measured. */
  measured?: string;
  warnings?: string[];
  problems: string[];
  /** A rare word for each concept without a trigger, by the setting's path. */
  suggested_triggers?: Record<string, string>;
  /** The prompts that the run takes for control pictures, by the setting's path, where that list is empty. */
  proposed_prompts?: Record<string, string[]>;
  memory: Memory | null;
  /** The memory that the same run needs with each method. */
  methods?: Record<string, MethodMemory>;
  disk?: string;
}

/** `GET datasets`: a folder of pictures. */
export interface Dataset {
  folder: string;
  pictures: number;
  captions: number;
  /** The first ones; `picture` is a path below /sdft/v1/. */
  thumbnails: { name: string; picture: string; width: number; height: number; caption: string }[];
  problems: string[];
}

/** A picture that comes from txt2img or img2img, or why none does. */
export interface SentPicture {
  blob: Blob;
  name: string;
  caption: string;
  problem?: string;
}

/** What every panel is; most can do more. */
export interface Panel {
  node: HTMLElement;
  /** Called when the panel is opened. */
  shown?(): unknown;
}

/** The page, as its panels see it. */
export interface App {
  root: HTMLElement;
  api: Api;
  session: Session;
  schema: Schema;
  guide: Guide;
  draft: Draft;
  runs: Runs;
  /** Whether another page has taken this one's place. */
  over: boolean;
  /** Whether somebody can see the page. */
  readonly visible: boolean;
  /** Sentences of the server about single settings, by path. */
  problems: Map<string, string>;
  /** Values that the server suggests for empty settings, by path. */
  suggestions: Record<string, string>;
  /** Prompts that the run takes where a list of them is empty, by path. */
  proposals: Record<string, string[]>;
  poll: { now(): void };
  can(feature: string): boolean;
  refresh(): Promise<void>;
  takeSession(session: Session): Promise<void>;
  whenDraft(node: Node, act: (paths: string[] | null) => unknown): void;
  whenProblems(node: Node, act: () => unknown): void;
  whenRuns(node: Node, act: () => unknown): void;
  whenForecast(node: Node, act: (methods: Record<string, MethodMemory>) => unknown): void;
  setForecast(methods: Record<string, MethodMemory>): void;
  setProblems(problems: Map<string, string>, suggestions?: Record<string, string>, proposals?: Record<string, string[]>): void;
  attempt(act: () => unknown, button?: HTMLButtonElement | null): Promise<boolean>;
  say(text: string, kind?: "good" | "bad" | "plain" | "warn"): () => void;
  show(panel: string): void;
  showGuide(id: string): void;
  /** Opens the Tools panel with a tool. */
  showTool(name: string): void;
  showSetting(path: string): void;
  showRun(id: string): void;
  /** Opens a dataset's folder in the Captions panel, filtered or as it was. */
  showCaptions(folder: string, filter?: CaptionFilter): void;
  /** Opens a section of the Dataset panel; "report" is made anew. */
  showDataset(section: string): void;
  /** Opens a run in the Evaluate panel, and points at the save of a step. */
  evaluate(id: string, step?: number): void;
  point(node: HTMLElement, focus?: HTMLElement): void;
}

declare global {
  /** The WebUI's own scripts; the standalone page has none of them. */
  function gradioApp(): Document | ShadowRoot;
  function onUiLoaded(act: () => void): void;
  function onOptionsChanged(act: () => void): void;
  function updateInput(target: Element): void;
  function selectCheckpoint(title: string): void;
}
