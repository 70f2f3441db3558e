// What the routes of captions and taggers answer, and what the Captions panel's modules pass to one another.

/** A picture and its caption. */
export interface CaptionedPicture {
  /** Valid for as long as the folder stays open. */
  id: number;
  /** Path below the folder. */
  name: string;
  /** Path of its thumbnail below /sdft/v1/. */
  picture: string;
  width: number;
  height: number;
  caption: string;
  /** Null until they have been counted. */
  tokens?: number | null;
  concept: string;
  source: "txt" | "caption" | "folder" | "name" | "none";
  state: "saved" | "changed" | "conflict" | "locked";
  /** Grows with every change of the picture. */
  revision: number;
}

/** Pictures by id. */
export type Entries = Map<number, CaptionedPicture>;

export interface CaptionHistory {
  undo: string | null;
  redo: string | null;
  unsaved: number;
  conflicts: number;
  autosave: boolean;
  writable: boolean;
  why?: string;
}

export interface ConceptCount {
  concept: string;
  pictures: number;
}

export interface OpenResponse {
  opened: string;
  folder: string;
  total: number;
  pictures: CaptionedPicture[];
  next: number | null;
  concepts: ConceptCount[];
  problems: string[];
  revision: number;
  history: CaptionHistory;
  trigger: string;
}

/** What has changed since a revision. */
export interface ChangedResponse {
  changed: CaptionedPicture[];
  gone: number[];
  revision: number;
  history: CaptionHistory;
}

export interface EditResponse extends ChangedResponse {
  count: number;
  notes: string[];
}

export interface StepResponse extends EditResponse {
  done: string;
}

export interface SaveResponse extends ChangedResponse {
  saved: number;
  conflicts: number[];
  failed: { id: number; text: string }[];
  notes: string[];
}

export interface CaptionChange {
  id: number;
  before: string;
  after: string;
}

/** What an edit would change. */
export interface PreviewResponse {
  preview: string;
  count: number;
  of: number;
  ids: number[];
  shown: CaptionChange[];
  notes: string[];
}

export interface ImportPreview extends PreviewResponse {
  unmatched: number;
  unmatched_names: string[];
}

/** An export without a folder. */
export interface Download {
  name: string;
  content: string;
  count: number;
  notes: string[];
}

/** An export into a folder; `left`: files that have other content and weren't overwritten. */
export interface WrittenFiles {
  written: number;
  left: string[];
  notes: string[];
}

export interface CaptionConflict {
  id: number;
  name: string;
  /** The text that both started from. */
  before: string | null;
  mine: string;
  /** Null where the file was deleted. */
  theirs: string | null;
}

export interface DuplicateSearch {
  state: "none" | "searching" | "finished" | "failed";
  done: number;
  total: number;
  message: string;
}

export interface TagCount {
  tag: string;
  count: number;
  /** Of the captions, 0 to 1. */
  share: number;
  position: number;
  with_trigger?: number | null;
  fused: boolean;
  variants?: string[];
}

export interface TagsResponse {
  captions: number;
  total: number;
  tags: TagCount[];
  text: string;
}

export interface Token {
  text: string;
  part: number;
  word_end: boolean;
}

export interface CaptionPart {
  text: string;
  tokens: number;
  share: number;
}

export interface CaptionWord {
  text: string;
  tokens: number;
  share: number;
  part: number;
}

export interface TokensResponse {
  count: number;
  chunks: Token[][];
  parts: CaptionPart[];
  /** As they are written; none where several are read together. */
  words: CaptionWord[];
  /** How the words share what a step can change; may be empty. */
  budget: string;
  cut: string;
  strategy: string;
  advice: string[];
}

export interface CaptionStrategy {
  name: string;
  label: string;
  text: string;
}

export interface TaggerInformation {
  id: string;
  label: string;
  sentences: boolean;
  /** What is missing; empty where the tagger can be used. */
  why: string;
}

export interface TaggersResponse {
  taggers: TaggerInformation[];
  help: string;
}

export interface TaggingStatus {
  state: "" | "tagging" | "finished" | "stopped" | "failed";
  done: number;
  total: number;
  seconds_left?: number;
  message?: string;
  unreadable?: string[];
}

/** An edit as the server reads it, such as `{ do: "rename", tag, to }`. */
export type Edit = { do: string } & Record<string, unknown>;

/** A filter as the server reads it, such as `{ all: [{ tag: "dog" }, { not: { empty: true } }] }`. */
export type FilterTree = Record<string, unknown>;

/** How a tag counts in a filter: all of these, one of these, none of these. */
export type TagMode = "all" | "any" | "none";

/** Which captions a request is about. */
export type Target = "active" | "selected" | "shown";

/** The parts of a request about pictures that a reopened folder changes. */
export interface CaptionRequest {
  ids?: number[];
  preview?: string;
  revision?: number | null;
  since?: number;
  [key: string]: unknown;
}

/** What happened in the store: `entries` names the pictures, or null for all. */
export type StoreEvent = "open" | "entries" | "shown" | "selected" | "active" | "history" | "busy";

/** Shows a sentence to the user. */
export type Say = (text: string, kind?: "good" | "bad") => void;

/** How the grid shows captions. */
export interface View {
  view: "tags" | "text";
  size: "tiny" | "small" | "medium" | "large";
}

/** What the Captions panel is filtered by when it is opened from elsewhere. */
export interface CaptionFilter {
  /** Words in the caption or file name. */
  text?: string;
  /** Whether the text is a regular expression, for captions alone. */
  regex?: boolean;
  /** How each tag counts. */
  tags?: [string, "all" | "any" | "none"][];
}
