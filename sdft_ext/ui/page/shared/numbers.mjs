// Numbers as people write them.

/** 0.0001 as "1e-4", 12 as "12". */
export function plain(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return String(value ?? "");
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential().replace(/\.?0*e/, "e").replace("e+", "e");
  return String(value);
}

/** Three digits are enough to be looked at. */
export function short(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  return Math.abs(value) < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function megabytes(value) {
  if (typeof value !== "number") return "–";
  return value >= 1024 ? `${(value / 1024).toFixed(1)} GB` : `${Math.round(value)} MB`;
}

export function count(number, one, many) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

export function when(seconds) {
  if (!seconds) return "";
  return new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
