import { formatTick } from './format.ts';

/** A picture that stands on a page of its own colour: it brings its background, so that it can be read on a light and on a dark one. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** For those who do not see it. */
  readonly title: string;
  readonly body: readonly string[];
}

export type Attributes = Readonly<Record<string, string | number>>;

/** Plain classes, no variables: not only browsers draw these. */
const LIGHT = { paper: '#ffffff', ink: '#1f2328', soft: '#59636e', grid: '#d8dee4' };
const DARK: typeof LIGHT = { paper: '#0d1117', ink: '#e6edf3', soft: '#9aa4af', grid: '#30363d' };
const LIGHT_COLOURS = ['#0a5ab4', '#b45309', '#0f766e', '#9d2a7c', '#5b6470'];
const DARK_COLOURS = ['#6cb0ff', '#f0a04b', '#4fd1c0', '#f08ad0', '#a9b3bf'];

function theme({ paper, ink, soft, grid }: typeof LIGHT, colours: readonly string[]): string {
  return [
    `.paper { fill: ${paper}; }`,
    `text { fill: ${ink}; }`,
    `.soft { fill: ${soft}; }`,
    `.grid { stroke: ${grid}; }`,
    ...colours.map((one, index) => `.c${index} { color: ${one}; }`),
  ].join('\n');
}

const STYLE = `
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
.soft { font-size: 12px; }
.head { font-size: 15px; font-weight: 600; }
${theme(LIGHT, LIGHT_COLOURS)}
@media (prefers-color-scheme: dark) {
${theme(DARK, DARK_COLOURS)}
}
`;

export function svg({ width, height, title, body }: Picture): string {
  return `${element(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img' },
    [
      `<title>${escaped(title)}</title>`,
      `<style>${STYLE}</style>`,
      element('rect', { class: 'paper', width, height, rx: 6 }),
      ...body,
    ],
  )}\n`;
}

export function element(name: string, attributes: Attributes, children: readonly string[] = []): string {
  const text = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${escaped(typeof value === 'number' ? String(Number(value.toFixed(1))) : value)}"`,
  );
  return children.length === 0
    ? `<${name}${text.join('')}/>`
    : `<${name}${text.join('')}>\n${children.join('\n')}\n</${name}>`;
}

export function label(text: string, attributes: Attributes): string {
  return element('text', attributes).replace(/\/>$/, `>${escaped(text)}</text>`);
}

export function line(x1: number, y1: number, x2: number, y2: number, more: Attributes): string {
  return element('line', { x1, y1, x2, y2, ...more });
}

/** The class of what is drawn with `currentColor`. The first colour is ours. */
export function colour(index: number): string {
  return `c${index % LIGHT_COLOURS.length}`;
}

/** Room for a text, without a font to measure it with: a little too much rather than too little. */
export function widthOf(text: string): number {
  return Math.ceil(text.length * 7.1);
}

/** Room for the label of a tick on a horizontal axis, and on a vertical one. */
export const tickWidthPx = (value: number): number => widthOf(formatTick(value));
export const tickHeightPx = (): number => 12;

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
