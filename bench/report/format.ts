/** Three significant digits, without an exponent, thousands apart: what a person can compare at a glance. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Number.isInteger(value)) return grouped(String(value));
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  const text = value.toFixed(Math.min(digits, 6));
  return grouped(text);
}

/** For ticks: no zeros behind that say nothing. */
export function formatTick(value: number): string {
  return grouped(String(Number(value.toPrecision(6))));
}

function grouped(text: string): string {
  const [whole = '', ...fraction] = text.split('.');
  return [whole.replace(/\B(?=(\d{3})+$)/g, ','), ...fraction].join('.');
}
