// Shapes of what a run's pictures and saves are judged by. For the type check alone: nothing loads this file.

/** An instance picture and its loss; null where it was NaN or infinite. */
export interface PictureLoss {
  /** Below its `folder`. */
  name: string;
  /** The folder of its concept's instance pictures. */
  folder: string;
  concept: string;
  /** Path of its thumbnail below /sdft/v1/. */
  picture: string | null;
  caption: string;
  held_out: boolean;
  before: number | null;
  now: number | null;
  /** -0.25 is a quarter less than before. */
  change: number | null;
  finding: "" | "hard" | "memorized" | "mislabelled";
  /** The finding as a sentence. */
  text: string;
}

/** `GET runs/{run}/pictures` */
export interface PictureLosses {
  /** Steps. */
  before: number | null;
  now: number | null;
  draws: number;
  pictures: PictureLoss[];
  text: string;
}

/** `GET compare/judged`: a run and the numbers of the save that its verdict recommends. */
export interface ComparedRun {
  id: string;
  name: string;
  /** The names of its concepts. */
  concept: string;
  method: string;
  base: string;
  /** The learning rate. */
  rate: number;
  steps: number;
  seconds: number;
  /** Its verdict; empty where there is none. */
  word: string;
  text: string;
  /** The recommended save's step. */
  save: number | null;
  /** Pictures that show it, of how many. */
  learned: [number, number] | null;
  bleeding: [number, number] | null;
  copied: [number, number] | null;
  worth: number | null;
  best: boolean;
  /** Runs of the same pictures and base model have the same. */
  group: string;
  /** Why there is no verdict. */
  why: string;
}

/** A way to follow the advice of a rating. */
export interface RatingLead {
  label: string;
  kind: "section" | "setting" | "captions" | "save";
  /** A section of the Dataset panel, a setting's path, "with" or "without" the word, "recommended" or "earlier". */
  target: string;
}

/** What a picture can be rated as. */
export interface RatingKind {
  name: string;
  label: string;
  help: string;
  advice: string;
  leads: RatingLead[];
}

/** A picture of a run and the name of its rating. */
export interface RatedPicture {
  set: "concept" | "bleeding" | "words";
  number: number;
  step: number;
  rating: string;
}

/** `GET runs/{run}/ratings` */
export interface NearestPicture extends Pick<RatedPicture, "set" | "number" | "step"> {
  /** 0 for the same picture, 1 for as far as instance pictures usually are from the nearest other one. */
  distance: number;
  copied: boolean;
  /** The instance picture, below its `folder`. */
  name: string;
  folder: string;
  concept: string;
  /** Path of its thumbnail below /sdft/v1/. */
  picture: string | null;
}

export interface Ratings {
  kinds: RatingKind[];
  given: RatedPicture[];
  /** By the judge's numbers; `text` says why. */
  proposed: (RatedPicture & { text: string })[];
  /** Of control pictures that are to show a concept, the nearest instance picture. */
  nearest: NearestPicture[];
  /** Of the concepts' instance pictures. */
  folders: string[];
  /** The step of the save that the verdict recommends. */
  recommended: number | null;
}

/** A picture of a trained word. */
export interface WordPicture {
  number: number;
  /** Its place among the words. */
  word: number;
  prompt: string;
  /** Whether the prompt has the trigger. */
  trigger: boolean;
  seed: number;
  drawn: boolean;
}

/** `GET runs/{run}/words` */
export interface WordGrid {
  /** Of the save that they were drawn with; null before there are any. */
  step: number | null;
  words: { word: string; count: number }[];
  pictures: WordPicture[];
}
