// Numbers as people write them.

/** Writes 0.0001 as "1e-4", 12 as "12". @param {unknown} value */
export function plain(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return String(value ?? "");
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential().replace(/\.?0*e/, "e");
  return String(value);
}

/** Writes a number with three digits: enough to compare by eye. @param {unknown} value */
export function short(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  return Math.abs(value) < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

/** Writes a time in seconds as "12 s", "3 min 20 s" or "2 h 5 min". @param {number} seconds */
export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Writes megabytes, from 1,024 on as gigabytes. @param {unknown} value */
export function megabytes(value) {
  if (typeof value !== "number") return "–";
  return value >= 1024 ? `${(value / 1024).toFixed(1)} GB` : `${Math.round(value)} MB`;
}

/** Writes a file's size in kB or MB; never less than 1 kB. @param {number} bytes */
export function fileSize(bytes) {
  return bytes >= 2 ** 20 ? `${(bytes / 2 ** 20).toFixed(1)} MB` : `${Math.max(Math.round(bytes / 1024), 1)} kB`;
}

/** Writes a whole number with commas between thousands. @param {number} value */
export function thousands(value) {
  return value.toLocaleString("en");
}

/** Writes "1 picture", "12 pictures". @param {number} number @param {string} one @param {string} many */
export function count(number, one, many) {
  return `${thousands(number)} ${number === 1 ? one : many}`;
}

/** Writes a time in seconds since 1970 in the reader's own format. @param {number | null | undefined} seconds */
export function when(seconds) {
  if (!seconds) return "";
  return new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
