// Numbers into words. Unknown is null and reads "unknown", never 0.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** A finite number, or null: whatever else the feed carries is unknown. */
export const number = (value) => (Number.isFinite(value) ? value : null);

export function bytes(value) {
  if (number(value) === null) return "unknown";
  let size = Math.abs(value);
  let unit = 0;
  // 1023.95 would print as 1024.0.
  while (size >= 1023.95 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const digits = unit === 0 ? Math.round(size) : size.toFixed(size < 99.95 ? 1 : 0);
  return `${value < 0 ? "−" : ""}${digits} ${UNITS[unit]}`;
}

/** For an axis, where 256 MiB needs no decimals and 1.5 GiB does. */
export const axisBytes = (value) => bytes(value).replace(/\.0 /, " ");

export const percent = (value) => (number(value) === null ? "unknown" : `${value.toFixed(value < 9.95 ? 1 : 0)} %`);

export const count = (value) => (number(value) === null ? "unknown" : Math.round(value).toLocaleString("en"));

export function rate(value) {
  if (number(value) === null) return "unknown";
  return `${value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 })} /s`;
}

export function duration(seconds) {
  if (number(seconds) === null) return "unknown";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export const milliseconds = (value) => (number(value) === null ? "unknown" : value < 1000 ? `${Math.round(value)} ms` : duration(value / 1000));

const CLOCK = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const CLOCK_SHORT = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
export const clock = (seconds) => (number(seconds) === null ? "unknown" : CLOCK.format(seconds * 1000));
export const clockShort = (seconds) => CLOCK_SHORT.format(seconds * 1000);
export const zone = () => CLOCK.resolvedOptions().timeZone ?? "local time";

export const LEVELS = ["Normal", "Elevated", "High", "Critical"];
export const levelName = (level) => LEVELS[level] ?? "Unknown";

const MEANINGS = [
  "Below all lines.",
  "Above the first line: hooks are asked to give memory back.",
  "Reservations are refused, and threads that allocate may be braked.",
  "Close to the limit: the kernel may kill this process.",
];
export const levelMeaning = (level) => MEANINGS[level] ?? "No level is known.";

// Control, format and line-breaking characters (bidirectional overrides too) would hide or reorder what follows.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

/** Any string of the service, made safe to look at. It still goes into the page as text only. */
export function visible(value, most = 160) {
  if (typeof value !== "string") return "unknown";
  const name = value.length > most ? `${value.slice(0, most)}…` : value;
  return name.replace(UNSEEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

// Cleanups that ended within one frame are one mark; reason and time are those of the last.
export const cleanupReason = ({ reason, count: times }) => (times > 1 ? `${visible(reason)}, ${count(times)} times` : visible(reason));
export const cleanupTook = ({ took_ms, count: times }) => `${milliseconds(took_ms)}${times > 1 ? ", the last" : ""}`;

export function cleanupReturned({ returned, futile, count: times }) {
  if (futile === 0) return bytes(returned);
  return `${bytes(returned)}, ${futile < times ? `${count(futile)} ` : ""}futile`;
}
