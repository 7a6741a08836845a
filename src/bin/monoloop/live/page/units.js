// Quantities as people read them.

export function bytes(count) {
  if (count < 1024) return `${count} B`;
  if (count < 1024 * 1024) return `${(count / 1024).toFixed(count < 10240 ? 1 : 0)} KiB`;
  if (count < 2 ** 30) return `${(count / 2 ** 20).toFixed(1)} MiB`;
  return `${(count / 2 ** 30).toFixed(1)} GiB`;
}

export function seconds(millis) {
  return millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`;
}

/** A time in microseconds, with three digits or so. */
export function micros(time) {
  if (time < 1000) return `${time < 10 ? time.toFixed(1) : Math.round(time)} µs`;
  if (time < 1e6) return `${(time / 1000).toFixed(time < 1e5 ? 1 : 0)} ms`;
  return `${(time / 1e6).toFixed(1)} s`;
}
