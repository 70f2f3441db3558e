// What the routes of the tools answer.

export interface ToolField {
  name: string;
  label: string;
  /** A file (`checkpoint`, `lora`, `loras`, `any`, `pickle`) or a value (`rank`, `error`, `choice`, `switch`). */
  kind: string;
  help: string;
  default: string | number | boolean | null;
  choices: [value: string, label: string][];
  /** Another field, and the value with which this one counts. */
  when: [name: string, value: string] | null;
}

export interface Tool {
  name: string;
  label: string;
  help: string;
  fields: ToolField[];
  /** `checkpoint` or `lora`; null for a tool that only looks. */
  makes: string | null;
  /** What a suggested name ends with. */
  ending: string;
}

export interface ListedFile {
  path: string;
  name: string;
  group: string;
  kind: string;
  bytes: number;
}

export interface Tools {
  tools: Tool[];
  files: ListedFile[];
  /** Where a `checkpoint`, a `lora` and a `folder` go. */
  places: Record<string, string>;
}

/** The tool that works, or the last one. */
export interface ToolJob {
  tool: string;
  label: string;
  makes: string;
  /** A path. */
  target: string;
  state: "idle" | "working" | "finished" | "stopped" | "failed";
  done: number;
  total: number;
  seconds_left: number;
  message: string;
  began: number;
}

export interface NamedValue {
  name: string;
  value: string;
}

/** What `metadata` finds in a file. */
export interface Description {
  file: string;
  facts: NamedValue[];
  metadata: NamedValue[];
}

/** What `scan` finds in a pickle. */
export interface Scan {
  file: string;
  imports: { name: string; verdict: string }[];
  verdict: "harmless" | "suspicious" | "damaged" | "dangerous";
  message: string;
}

/** A value as it is sent: `loras` is a list of files with weights. */
export type ToolValue = string | number | boolean | { file: string; weight: number }[];

/** The control of a tool's field. */
export interface FieldControl {
  field: ToolField;
  node: HTMLElement;
  /** Raises Error where it can't be sent. */
  value(): ToolValue;
  /** Takes over new files of the server. */
  follow(): void;
  /** The chosen file's name, without folders and ending. */
  stem?(): string;
  /** Chooses a file. */
  put?(path: string): void;
}
